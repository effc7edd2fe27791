#!/usr/bin/env bash
# Makes .venv next to pyproject.toml when it is missing or out of date, and leaves it alone otherwise.
#
#   scripts/environment.sh [EXTRAS]     EXTRAS: comma-separated extras of pyproject.toml, default "inc,dev"; "" for none
#
# To be sourced or run. When sourced, the caller keeps a shared lock on the environment until it exits, so that a
# second call with a changed pyproject.toml waits instead of replacing the environment of a running program.
# The stamp is written last: an environment without a right stamp is never trusted.

environment_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"

environment_fail() {
  printf '%s\n' "$@" >&2
  exit 2
}

# Prints the first Python that the asked-for extras can be installed with. Neural Compressor 3.7.1 needs numpy 1.x and
# onnx < 1.19, whose wheels exist for 3.10 to 3.12.
environment_python() {
  local candidates=(python3.11 python3.12 python3.10 python3 python) newest=99 candidate version minor seen=""
  case ",$1," in *,inc,*) newest=12 ;; *) candidates=(python3 python3.13 python3.12 python3.11 python3.10 python) ;; esac
  if [ -n "${QUANTIZE_PYTHON:-}" ]; then candidates=("$QUANTIZE_PYTHON"); fi # a path, spaces and all
  for candidate in "${candidates[@]}"; do
    if ! version="$("$candidate" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)"; then
      if [ -n "${QUANTIZE_PYTHON:-}" ]; then seen=" QUANTIZE_PYTHON=$candidate, which is no Python 3 that runs"; fi
      continue
    fi
    minor="${version#3.}"
    case "$minor" in *.*) minor=-1 ;; esac # Python 2
    if [ "$minor" -ge 10 ] && [ "$minor" -le "$newest" ]; then command -v "$candidate"; return 0; fi
    seen="$seen $candidate ($version)"
  done
  if [ "$newest" = 12 ]; then
    environment_fail "error: no Python that Neural Compressor works with" \
      "  found:   ${seen:- none}" \
      "  expected: Python 3.10, 3.11 or 3.12" \
      "  to do:    install one of them, or name it in QUANTIZE_PYTHON; --engine native works with 3.10 and newer"
  fi
  environment_fail "error: no Python that works" "  found:   ${seen:- none}" "  expected: Python 3.10 or newer" \
    "  to do:    install one, or name it in QUANTIZE_PYTHON"
}

environment_stamp() { # what an environment depends on: the declared packages, the place (installed editable)
  { printf '%s\n' "$environment_root"; cat "$environment_root/pyproject.toml"; } | (sha256sum 2>/dev/null || shasum -a 256) | cut -c1-64
}

environment_has() { # EXTRAS: is there a whole environment of today's pyproject.toml with all these extras?
  local stamp="$environment_root/.venv/.quantize-stamp" extra
  [ -x "$environment_root/.venv/bin/python" ] && [ -f "$stamp" ] || return 1
  [ "$(sed -n 1p "$stamp")" = "$(environment_stamp)" ] || return 1
  for extra in ${1//,/ }; do case ",$(sed -n 2p "$stamp")," in *",$extra,"*) ;; *) return 1 ;; esac; done
}

environment_lock() { # shared|exclusive; waits; where there is no flock, goes without
  command -v flock >/dev/null 2>&1 || return 0
  if ! flock "--$1" --nonblock 9; then
    echo "waiting for another run that uses or makes .venv …" >&2
    flock "--$1" 9
  fi
}

environment_make() { # EXTRAS
  local extras="$1" venv="$environment_root/.venv" log="$environment_root/.venv.log" python had=""
  python="$(environment_python "$extras")" || exit 2
  if environment_has ""; then
    had="$(sed -n 2p "$venv/.quantize-stamp")"
    rm -f "$venv/.quantize-stamp"
    extras="$(printf '%s\n' ${had//,/ } ${extras//,/ } | sort -u | paste -sd, -)"
    case ",$1," in *,inc,*) "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || rm -rf "$venv" ;; esac
  else
    if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
      environment_fail "error: $venv is in the way: it is not a Python environment" "  to do:    move it away and call again"
    fi
    rm -rf "$venv"
  fi
  echo "making the environment in .venv with $("$python" --version 2>&1)${extras:+ and the extras $extras} (a minute or two, once) …" >&2
  if ! { { [ -d "$venv" ] || "$python" -m venv "$venv"; } &&
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -e "$environment_root${extras:+[$extras]}"; } >"$log" 2>&1; then
    rm -rf "$venv"
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    environment_fail "error: the environment could not be made with $python (nothing was left behind)" \
      "  found:    the last lines of $log, above" \
      "  expected: a Python with venv and pip, and a reachable package registry" \
      "  to do:    mend that and call again (Debian and Ubuntu: apt-get install python3-venv)"
  fi
  printf '%s\n%s\n' "$(environment_stamp)" "$extras" >"$venv/.quantize-stamp.part"
  mv "$venv/.quantize-stamp.part" "$venv/.quantize-stamp"
  rm -f "$log"
}

environment_ensure() { # EXTRAS
  unset PYTHONPATH PYTHONHOME PIP_USER
  exec 9>>"$environment_root/.venv.lock"
  environment_lock shared
  while ! environment_has "$1"; do
    flock --unlock 9 2>/dev/null || true
    environment_lock exclusive
    trap 'rm -rf "$environment_root/.venv"; exit 130' INT TERM
    environment_has "$1" || environment_make "$1"
    trap - INT TERM
    flock --unlock 9 2>/dev/null || true
    environment_lock shared
  done
}

# Which extras a call needs: the native engine does without Neural Compressor.
environment_extras_for() {
  local previous="" word
  for word in "$@"; do
    case "${previous//-/_}=$word" in __engine=native) echo ""; return ;; esac
    case "${word//-/_}" in __engine=native) echo ""; return ;; esac
    previous="$word"
  done
  echo "inc"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -eu
  environment_ensure "${1-inc,dev}"
fi
