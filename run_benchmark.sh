#!/usr/bin/env bash
# Benchmarks a model: makes .venv when needed, then passes all arguments to `quantize benchmark`.
# Without arguments: the newest run under runs/. `bash run_benchmark.sh --help` lists the flags.
set -eu
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/scripts/environment.sh"
environment_ensure inc
exec "$environment_root/.venv/bin/python" -m quantize benchmark "$@"
