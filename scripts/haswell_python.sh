#!/usr/bin/env bash
# Makes PLACE/bin/python: the Python of .venv on an emulated CPU, a Haswell: AVX2, neither AVX512 nor VNNI.
#
#   scripts/haswell_python.sh PLACE
#
# Python takes PLACE for an environment of its own, so that sys.executable is this bin/python: the processes that a
# program starts by it run on the emulated CPU too. PLACE is made anew by every call, which takes no time.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
source "$root/scripts/emulated_python.sh"

# Haswell's, less what the emulator warns that it lacks: none of it computes anything.
cpu="Haswell,-hle,-invpcid,-pcid,-rtm,-tsc-deadline,-x2apic"

[ "$(uname -m)" = x86_64 ] || environment_fail "error: a Haswell is emulated on x86-64 only" "  found:   $(uname -m)"
emulation_needs qemu-x86_64:qemu-user
emulated_python "$1" "$(readlink -f "$root/.venv/bin/python")" "$root/.venv/lib" qemu-x86_64 -cpu "$cpu"
