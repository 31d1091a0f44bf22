#!/usr/bin/env bash
# Save the image as the file to upload:
#
#   container/export.sh [FILE.tar.gz]
#
# IMAGE names the image.
set -euo pipefail
image=${IMAGE:-cephdetr-cl-detection2023}
file=${1:-$image.tar.gz}

trap 'rm -f "$file.partial"' EXIT
docker save "$image" | gzip -c >"$file.partial"
mv "$file.partial" "$file"
echo "$file: $(du -h "$file" | cut -f1)"
