#!/usr/bin/env bash
# Build the Dockerfile and test its image where no Docker engine runs, with Debian's buildah; needs root:
#
#   apt-get install -y buildah debootstrap
#   container/build_without_docker.sh STACK.mha EXPECTED.json CHECKPOINT...
#
# The GPU base image is not at hand there. A Debian with Python stands in for it; its torch and torchvision, of the
# locked versions, are mounted at build and at run time, not part of the image. All else is as shipped: the
# Dockerfile, its context, the packages it installs, the user and the entry point. The image then runs without
# network and capabilities, with 8 GB of memory and 256 processes, and its predictions are compared. WORK
# (outputs/container) is where it is done; 4 GB, gone at the end.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly RELEASE=bookworm PYTHON_VERSION=3.11 TORCH=/opt/torch
readonly STANDIN=localhost/cephdetr-standin IMAGE=localhost/cephdetr-cl-detection2023

[ $# -ge 3 ] || { echo "usage: $0 STACK.mha EXPECTED.json CHECKPOINT..." >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 2; }
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "$0: $tool not found: apt-get install -y $tool" >&2; exit 2; }
done
stack=$(realpath -e "$1") expected=$(realpath -e "$2")
shift 2
"$root/container/stage_weights.sh" "$root/container/weights" "$@"

cd "$root"
work=$(realpath -m "${WORK:-outputs/container}")
mkdir -p "$work/input/images/lateral-dental-x-rays" "$work/output"
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=chroot TMPDIR=$work
storage=(--root "$work/storage" --runroot "$work/run")
volumes=(--volume "$work/torch:$TORCH:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro) # networks may have their own
build() { buildah "${storage[@]}" "$@"; }
finish() {
    build umount --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
step() { echo "== $1 (after $SECONDS s)"; }

step "stand-in for the base image"
.venv/bin/uv pip install -q --target "$work/torch" --python-version "$PYTHON_VERSION" \
    --constraints requirements-lock.txt torch torchvision
base=$(build from scratch)
debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python-is-python3 \
    "$RELEASE" "$(build mount "$base")" >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; exit 1; }
build config --env PYTHONPATH="$TORCH" "$base"
build commit --quiet --rm "$base" "$STANDIN"

step "container/Dockerfile"
build bud --pull-never "${volumes[@]}" --build-arg "BASE=$STANDIN" ${SCALES:+--build-arg "SCALES=$SCALES"} \
    --file container/Dockerfile --tag "$IMAGE" .
build images

step "run"
cp "$stack" "$work/input/images/lateral-dental-x-rays/"
install -m 644 "$expected" "$work/expected_output.json"
chmod 777 "$work/output"
container=$(build from --pull-never --cap-drop ALL --ulimit nproc=256:256 "$IMAGE")
run() {
    prlimit --data=$((8 << 30)) unshare --net buildah "${storage[@]}" run "${volumes[@]}" \
        --volume "$work/input:/input:ro" --volume "$work/output:/output" \
        --volume "$work/expected_output.json:/expected_output.json:ro" "$container" -- \
        setpriv --no-new-privs "$@"
}
run sh -c 'id; grep -E "CapEff|NoNewPrivs" /proc/self/status; grep -E "processes|data" /proc/self/limits
    echo "network interfaces:$(sed -n "s/:.*//p" /proc/net/dev)"'
each='{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}'
readarray -t entrypoint < <(build inspect --format "$each" "$container" | grep .)
run "${entrypoint[@]}"

step "compare"
run python container/compare_predictions.py /expected_output.json /output/orthodontic-landmarks.json
step "done"
