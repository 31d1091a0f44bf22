#!/usr/bin/env bash
# Run the image under the challenge's rules on one stack, then compare its predictions with the expected ones:
#
#   container/test.sh stack1.mha expected_output.json
#
# IMAGE names the image. Exit code 0: every point within 0.01 px; otherwise they differ, or the image failed.
# It runs on the GPU if Docker has one: let step 4 predict there too, a CPU rounds otherwise.
set -euo pipefail
image=${IMAGE:-cephdetr-cl-detection2023}

[ $# = 2 ] || { echo "usage: $0 STACK.mha EXPECTED.json" >&2; exit 2; }
stack=$(realpath -e "$1") expected=$(realpath -e "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/input/images/lateral-dental-x-rays" "$work/output"
chmod 777 "$work/output" # the image's user is not the one who runs this
cp "$stack" "$work/input/images/lateral-dental-x-rays/"
install -m 644 "$expected" "$work/expected_output.json"
chmod -R a+rX "$work/input"

rules=(--rm --network none --cap-drop ALL --security-opt no-new-privileges
    --memory 8g --memory-swap 8g --shm-size 128m --pids-limit 256)
gpus=()
if nvidia-smi >/dev/null 2>&1 && docker run --rm --gpus all --entrypoint true "$image" 2>/dev/null; then
    gpus=(--gpus all)
fi

docker run "${rules[@]}" "${gpus[@]}" \
    --volume "$work/input:/input:ro" --volume "$work/output:/output" "$image"
docker run "${rules[@]}" --volume "$work:/test:ro" --entrypoint python "$image" \
    container/compare_predictions.py /test/expected_output.json /test/output/orthodontic-landmarks.json
