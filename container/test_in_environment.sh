#!/usr/bin/env bash
# As container/test.sh where no container engine runs: process.py, with just the files that the Dockerfile copies, in
# an environment of just container/requirements.txt, confined by container/run_confined.sh:
#
#   container/test_in_environment.sh STACK.mha EXPECTED.json CHECKPOINT...
#
# PYTHON (.venv/bin/python) has uv beside it, which makes that environment with the versions of requirements-lock.txt,
# from its cache if it can. Exit code 0: every point within 0.01 px. Where the machine does not permit the
# confinement, a line says so. SCALES as for container/build.sh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

[ $# -ge 3 ] || { echo "usage: $0 STACK.mha EXPECTED.json CHECKPOINT..." >&2; exit 2; }
stack=$(realpath -e "$1") expected=$(realpath -e "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
input=$work/input/images/lateral-dental-x-rays
mkdir -p "$input" "$work/output" "$work/app"
cp "$stack" "$input/"

"$root/container/stage_weights.sh" "$work/weights" "$@"
cd "$root"
sed -n 's/^COPY \(.*\) [^ ]*$/\1/p' container/Dockerfile | xargs -n 1 | grep -v '^container/weights$' |
    xargs cp -r --parents -t "$work/app"
mv "$work/weights" "$work/app/container/"
chmod -R a+rX "$work/input" "$work/app"

uv=$(dirname "$python")/uv
"$uv" venv -q --python "$python" "$work/venv"
install=("$uv" pip install -q --python "$work/venv/bin/python"
    --requirements container/requirements.txt --constraints requirements-lock.txt)
"${install[@]}" --offline 2>/dev/null || "${install[@]}"
home=$("$python" -c 'import sys; print(sys.base_prefix)')

process=(env OMP_NUM_THREADS="${OMP_NUM_THREADS:-8}" OPENBLAS_NUM_THREADS=8 TMPDIR=/dev/shm HF_HUB_OFFLINE=1
    CEPHDETR_SCALES="${SCALES:-1}" "$work/venv/bin/python" "$work/app/container/process.py")
code=0
container/run_confined.sh "$work/input" "$work/output" "$work/venv" "$home" "$work/app" -- "${process[@]}" || code=$?
if [ "$code" = 77 ]; then
    echo "not confined, see above: run as this user, with network and without limits"
    "${process[@]}" --input "$input" --output "$work/output/orthodontic-landmarks.json"
elif [ "$code" != 0 ]; then
    exit "$code"
fi
"$python" container/compare_predictions.py "$expected" "$work/output/orthodontic-landmarks.json"
