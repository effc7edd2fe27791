#!/usr/bin/env bash
# Findings of bandit in our code, and known faults of the installed packages (left out where its service is not reached).
set -euo pipefail
bin=.venv/bin
"$bin/python" -m pip install -q 'bandit>=1.7.9' 'pip-audit>=2.7'

# What bandit warns of wholesale, and why it is no fault here: asserts tell mypy and readers what holds (B101); programs
# are started without a shell, by their lists of words (B404, B603, B607); XML is only written (B405).
"$bin/bandit" -q -r quantize scripts --confidence-level medium --skip B101,B404,B405,B603,B607

if found=$("$bin/pip-audit" --skip-editable --progress-spinner off --timeout 15 2>&1); then
  # A mirror of PyPI has the packages and not the advisories: each is left out then, and nothing is found.
  unknown=$(grep -c 'could not be audited' <<<"$found" || true)
  all=$("$bin/python" -m pip list --exclude-editable --format=freeze | wc -l)
  [ "$unknown" -ge "$all" ] || grep -v 'could not be audited' <<<"$found"
  [ "$unknown" -eq 0 ] || echo "pip-audit: its service does not know $unknown of $all packages: not audited" >&2
elif grep -qE 'ConnectionError|Max retries|ServiceError|Failed to (query|resolve)|not reach|ConnectTimeout|ReadTimeout' <<<"$found"; then
  echo "pip-audit: its service is not reached from here; the packages were not audited" >&2
else
  echo "$found"
  exit 1
fi
