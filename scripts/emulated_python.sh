#!/usr/bin/env bash
# What haswell_python.sh and arm64_python.sh share; to be sourced. Needs $root, the project's folder.
source "$root/scripts/environment.sh"

emulation_needs() { # COMMAND:DEBIAN_PACKAGE...
  local pair missing="" packages=""
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || { missing="$missing ${pair%%:*}"; packages="$packages ${pair#*:}"; }
  done
  [ -z "$missing" ] || environment_fail "error: what emulates another CPU is not installed" \
    "  found:    no$missing" "  to do:    on Debian and Ubuntu: apt-get install$packages"
}

emulated_python() { # PLACE PYTHON LIBRARIES EMULATOR ARGUMENT...: writes PLACE/bin/python; paths are absolute
  local place="$1" python="$2" libraries="$3" word
  shift 3
  mkdir -p "$place/bin"
  ln -sfn "$libraries" "$place/lib"
  printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$python")" >"$place/pyvenv.cfg"
  { # -0: what Python takes for its own name, and finds pyvenv.cfg by. One thread: an emulated one is slow at waiting.
    printf '#!/bin/sh\nOMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" exec'
    for word in "$1" -0 "$(cd "$place" && pwd -P)/bin/python" "${@:2}" "$python"; do
      printf " '%s'" "${word//\'/\'\\\'\'}"
    done
    printf ' "$@"\n'
  } >"$place/bin/python"
  chmod +x "$place/bin/python"
}
