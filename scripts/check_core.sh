#!/usr/bin/env bash
# Tries the core install, as someone without Neural Compressor has it: the built wheel alone in a new environment of
# its own, with the newest onnx and numpy that there are, and there one small run of the native engine from end to end.
# Uses the real images of QUANTIZE_SHARED (default ../shared); where they are absent, the demonstration's photographs.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
shared="$(cd "$root" && cd "${QUANTIZE_SHARED:-../shared}" 2>/dev/null && pwd -P || true)"
source "$root/scripts/environment.sh"
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_USER || true
python="$(environment_python "")"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT

echo "core install: making an environment with $("$python" --version) and nothing but the built wheel …"
"$python" -m venv "$place/core"
rm -rf "$root"/build/lib "$root"/build/bdist.* # else modules that are gone would be installed too
pip=("$place/core/bin/python" -m pip --quiet --disable-pip-version-check --no-input)
{ "${pip[@]}" wheel --no-deps --wheel-dir "$place/dist" "$root" && "${pip[@]}" install "$place"/dist/quantize-*.whl; } \
  >"$place/pip.log" 2>&1 || { tail -n 20 "$place/pip.log" >&2; exit 2; }
export PATH="$place/core/bin:$PATH"
cd "$place" # away from the checkout: what is imported is what was installed
python - <<'PYTHON'
from importlib.metadata import PackageNotFoundError, version

found = {name: version(name) for name in ("onnx", "onnxruntime", "numpy")}
print("core install:", ", ".join(f"{name} {number}" for name, number in found.items()))
numbers = {name: tuple(int(part) for part in number.split(".")[:2]) for name, number in found.items()}
assert numbers["onnx"] >= (1, 19), "the core keeps onnx back"
assert numbers["numpy"] >= (2, 0), "the core keeps numpy back"
try:
    raise AssertionError(f"the core brings neural-compressor {version('neural-compressor')}")
except PackageNotFoundError:
    pass
PYTHON

said=0
quantize tune --engine inc --output_model refused >refused.out 2>refused.err || said=$?
if [ "$said" != 2 ] || ! grep -qF "quantize[inc]" refused.err || grep -q Traceback refused.err || [ -e refused ]; then
  cat refused.out refused.err >&2
  echo "core install: --engine inc ended with $said; expected 2, one message that names the extra, and no run" >&2
  exit 1
fi
echo "core install: --engine inc is refused, and the message names the extra"

words=(--engine native --output_model run --max_trials 1 --sampling_size 20 --iteration 50 --relative 0.1
  --min_speedup 0.5
  --rewrites redundant,space-to-depth,common-scales)
if [ -f "$shared/imagenet/val.txt" ]; then
  head -n 100 "$shared/imagenet/val.txt" >labels.txt
  words+=(--config "$root/configs/squeezenet.yaml" --data_path "$shared/imagenet/val" --label_path labels.txt)
  quantize fetch squeezenet1.0-12 --output squeezenet1.0-12.onnx
  words+=(--input_model squeezenet1.0-12.onnx)
fi
quantize tune "${words[@]}"
quantize verify run/*-int8.onnx
quantize baseline accept run --output baseline.json
cat >tolerances.yaml <<'YAML' # a few images: whether it works, not how good it is
version: 1
identity: { source: same, data: same, preprocessing: same, files: same }
against_fp32: { agreement: { at_least: 0.8 }, integer_share: { at_least: 0.9, classes: [vnni] }, size: { relative: 0.5 } }
against_baseline: { agreement: { points: 0 }, size: { relative: 0 } }
YAML
quantize check run --baseline baseline.json --tolerances tolerances.yaml >check.out || { cat check.out; exit 1; }
echo "core install: tuned, verified and checked"
