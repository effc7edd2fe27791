#!/usr/bin/env bash
# Tunes a model: makes .venv when needed, then passes all arguments to `quantize tune`.
# Without arguments: the demonstration. `bash run_tuning.sh --help` lists the flags.
set -eu
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/scripts/environment.sh"
environment_ensure "$(environment_extras_for "$@")"
exec "$environment_root/.venv/bin/python" -m quantize tune "$@"
