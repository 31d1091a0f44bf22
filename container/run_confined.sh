#!/usr/bin/env bash
# Run a command under the challenge's rules on a machine without a container engine, by Linux namespaces alone:
#
#   container/run_confined.sh INPUT OUTPUT FOLDER... -- COMMAND...
#
# COMMAND sees INPUT as /input, OUTPUT as /output, each FOLDER and the system's programs at their own places,
# and nothing else. All of it is read-only but /output and 128 MB of /dev/shm. There is no network; the user
# is an unprivileged one without capabilities; 8 GB of memory, 256 processes. Needs root. The exit code is
# COMMAND's, or 77 where this machine does not permit the confinement (the reason is on standard error). Docker's
# limits are on memory that is used; here RLIMIT_DATA limits what is allocated, which is more.
set -euo pipefail

readonly NOBODY=65534 REFUSED=77
readonly SYSTEM=(/usr /bin /sbin /lib /lib64 /etc)

refuse() {
    echo "run_confined.sh: $1" >&2
    exit "$REFUSED"
}

# Shows $1 at the place $2 of the new root, read-only.
show() {
    mkdir -p "$2"
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

build_root() {
    local root=$1 input=$2 output=$3 path
    shift 3
    mount -t tmpfs -o mode=755 tmpfs "$root"
    for path in "${SYSTEM[@]}"; do
        if [ -L "$path" ]; then cp -P "$path" "$root$path"; elif [ -d "$path" ]; then show "$path" "$root$path"; fi
    done
    for path in "$@"; do show "$path" "$root$path"; done
    show /sys "$root/sys"
    show "$input" "$root/input"
    mkdir -p "$root/output" "$root/proc" "$root/dev/shm"
    mount --bind "$output" "$root/output"
    mount -t proc proc "$root/proc"
    for path in null zero random urandom; do
        touch "$root/dev/$path"
        mount --bind "/dev/$path" "$root/dev/$path"
    done
    mount -t tmpfs -o size=128m,mode=1777 tmpfs "$root/dev/shm"
    mount -o remount,ro "$root"
}

# Second stage, inside the new namespaces.
if [ "${1:-}" = --inside ]; then
    root=$2 input=$3 output=$4
    shift 4
    folders=()
    while [ "$1" != -- ]; do folders+=("$1") && shift; done
    shift
    mount --make-rprivate /
    build_root "$root" "$input" "$output" "${folders[@]}" || refuse "mounting is not permitted here"
    cd /
    exec chroot "$root" prlimit --data=$((8 << 30)) --nproc=256 --core=0 \
        setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups --no-new-privs \
        --bounding-set=-all --inh-caps=-all env -i PATH="$PATH" HOME=/ LANG=C.UTF-8 "$@"
fi

[ "$(id -u)" = 0 ] || refuse "needs root to change the user and to mount, this is user $(id -un)"
for tool in unshare setpriv prlimit; do
    command -v "$tool" >/dev/null || refuse "needs $tool, of util-linux"
done
unshare --mount --net --pid --fork --ipc --uts true || refuse "namespaces are not permitted here"
chmod a+rwx "$2"
root=$(mktemp -d)
trap 'rmdir "$root"' EXIT
unshare --mount --net --pid --fork --ipc --uts "$BASH" "${BASH_SOURCE[0]}" --inside "$root" "$@"
