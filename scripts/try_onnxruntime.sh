#!/usr/bin/env bash
# Runs tests against one version of onnxruntime, in a new environment of its own that is removed again.
#
#   scripts/try_onnxruntime.sh VERSION [PYTEST_ARGS...]
#
# The other packages are the newest that pyproject.toml and that onnxruntime allow; QUANTIZE_PYTHON names another Python.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
source "$root/scripts/environment.sh"
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_USER || true
version="$1"
shift
python="$(environment_python "")"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT

"$python" -m venv "$place/environment"
rm -rf "$root"/build/lib "$root"/build/bdist.* # else modules that are gone would be installed too
"$place/environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
  "$root[dev]" "onnxruntime==$version" >"$place/pip.log" 2>&1 || { tail -n 20 "$place/pip.log" >&2; exit 2; }
"$place/environment/bin/python" - <<'PYTHON'
import platform
from importlib.metadata import version

names = ("onnxruntime", "onnx", "numpy")
print("Python", platform.python_version(), *(f"{name} {version(name)}" for name in names), sep=", ")
PYTHON
mkdir "$place/checkout" # what is changed in the meantime is not what is tried
tar -C "$root" --exclude=./.git --exclude='./.venv*' --exclude=./build --exclude=./runs -cf - . | tar -C "$place/checkout" -xf -
cd "$place/checkout"
"$place/environment/bin/python" -m pytest -p no:cacheprovider -m "not real and not network" "$@"
