#!/usr/bin/env bash
# Copy checkpoints (RUN/best.pt, or weights to hand out such as weights/cephdetr38.safetensors) to a folder that is
# made anew, in the order given, as container/process.py reads them:
#
#   container/stage_weights.sh FOLDER CHECKPOINT...
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 FOLDER CHECKPOINT..., such as runs/NAME/best.pt" >&2; exit 2; }
weights=$1
shift
for file in "$@"; do
    case $file in
        *.pt | *.safetensors) ;;
        *) echo "$0: $file: expected a .pt or .safetensors file, such as RUN/best.pt." >&2; exit 2 ;;
    esac
    [ -f "$file" ] || { echo "$0: $file not found. Give files that main.py wrote, such as RUN/best.pt." >&2; exit 2; }
done
# Copied beside FOLDER and moved to its place once whole: the files may lie in FOLDER itself.
mkdir -p "$(dirname "$weights")"
new=$(mktemp -d "${weights%/}.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
number=0
for file in "$@"; do
    number=$((number + 1))
    folder=$(basename "$(dirname "$(realpath "$file")")") # best.pt alone says nothing of its run
    install -m 644 "$file" "$new/$(printf %02d "$number")_${folder}_$(basename "$file")"
done
rm -rf "$weights"
mv "$new" "$weights"
