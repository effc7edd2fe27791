#!/usr/bin/env bash
# Records tests/baselines/squeezenet.CLASS.json for this machine's class of CPUs: the run of .ci/run, accepted. Call it as
# `make baseline` in a checkout without changes, on a quiet machine: the baseline names the commit and the CPU, and its
# figures are reviewed. Uses the real images of QUANTIZE_SHARED (default ../shared). RUN names a run to accept instead of a
# new one; the class is that of the CPU that it was measured on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run="${RUN:-}"
if [ -z "$run" ]; then
  if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo "baseline: this checkout has changes; commit them first, as the baseline names the commit" >&2
    exit 2
  fi
  run="build/baseline/squeezenet"
  said=0
  bash scripts/real_run.sh "$run" || said=$?
  [ "$said" = 0 ] || [ "$said" = 1 ] || [ "$said" = 3 ] || exit "$said" # a run that misses its criterion is said to
fi
.venv/bin/quantize baseline accept "$run" --output build/baseline.json
class="$(.venv/bin/python -c 'import json; print(json.load(open("build/baseline.json"))["machine"]["cpu_class"])')"
mv build/baseline.json "tests/baselines/squeezenet.$class.json"
echo "tests/baselines/squeezenet.$class.json: review it, and commit it"
