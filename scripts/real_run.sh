#!/usr/bin/env bash
# The product on itself: SqueezeNet tuned on the 500 images of QUANTIZE_SHARED (default ../shared) into the folder named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
shared="${QUANTIZE_SHARED:-../shared}"
exec bash run_tuning.sh --config configs/squeezenet.yaml --output_model "$1" --overwrite --iteration 300 \
  --data_path "$shared/imagenet/val" --label_path "$shared/imagenet/val.txt"
