#!/usr/bin/env bash
# Build the challenge's image with these weights inside; several checkpoints are an ensemble:
#
#   container/build.sh CHECKPOINT...
#
# IMAGE names the image, BASE its base image, SCALES="0.9 1 1.1" averages over scales.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${IMAGE:-cephdetr-cl-detection2023}

"$root/container/stage_weights.sh" "$root/container/weights" "$@"
docker build --platform linux/amd64 --file "$root/container/Dockerfile" --tag "$image" \
    ${BASE:+--build-arg "BASE=$BASE"} ${SCALES:+--build-arg "SCALES=$SCALES"} "$root"
echo "built $image"
