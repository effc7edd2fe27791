#!/usr/bin/env bash
# Makes PLACE/bin/python: a Python of Debian for arm64 on an emulated CPU, with the arm64 wheels of what .venv has.
#
#   scripts/arm64_python.sh PLACE [CPU]     neoverse-n1 (default: a dot product of bytes), or cortex-a72 (none)
#
# PLACE keeps the root and the wheels (800 MB, a minute); they are made again when .venv has other versions. Python
# takes PLACE for an environment of its own: the processes that a program starts by sys.executable are emulated too.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
source "$root/scripts/emulated_python.sh"

suite=bookworm version=3.11 # what the suite's Python is
emulation_needs qemu-aarch64:qemu-user debootstrap:debootstrap dpkg-deb:dpkg
rights=()
if [ "$(id -u)" != 0 ]; then # debootstrap makes device files, which nothing here reads
  emulation_needs fakeroot:fakeroot
  rights=(fakeroot)
fi
mkdir -p "$1"
place="$(cd "$1" && pwd -P)"
cpu="${2:-neoverse-n1}"
debian="$place/root"
wheels="$place/python/python$version/site-packages"

arm64_root() { # Debian's packages, unpacked; the system's own folders stay those of the host
  local made="$place/debootstrap" package
  rm -rf "$made" "$debian"
  "${rights[@]}" debootstrap --arch=arm64 --foreign --variant=minbase --include=python3,libstdc++6,libgomp1 \
    "$suite" "$made" >"$place/log" 2>&1 || return
  mkdir "$debian"
  for package in "$made"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$debian" || return; done
  (cd "$debian" && rm -rf boot dev home media mnt proc root run srv sys tmp var)
  rm -rf "$made"
}

arm64_cpuinfo() { # what /proc/cpuinfo says there: onnxruntime reads it, and ends the process on the host's x86 lines
  local part features="fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
  # What it says must be what the emulator has: onnxruntime takes its kernels by it.
  case "$cpu" in
    cortex-a72) part=0xd08 ;;
    neoverse-n1) part=0xd0c features="$features atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp" ;;
    *) environment_fail "error: nothing is known of this CPU" "  found:    $cpu" \
      "  expected: cortex-a72 (no dot product) or neoverse-n1" ;;
  esac
  mkdir -p "$debian/proc"
  printf '%s\t: %s\n' processor 0 BogoMIPS 243.75 Features "$features" "CPU implementer" 0x41 \
    "CPU architecture" 8 "CPU variant" 0x3 "CPU part" "$part" "CPU revision" 1 >"$debian/proc/cpuinfo"
}

arm64_wheels() { # the same versions as here, so that nothing but the CPU differs
  local platforms=() minor
  for minor in $(seq 17 36); do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
  rm -rf "$wheels"
  "$root/.venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --only-binary=:all: \
    --implementation cp --python-version "$version" "${platforms[@]}" --platform manylinux2014_aarch64 \
    --target "$wheels" --requirement "$place/wanted" >"$place/log" 2>&1
}

"$root/.venv/bin/python" "$root/scripts/pinned_packages.py" pytest hypothesis >"$place/wanted"
{ cat "$place/wanted" "${BASH_SOURCE[0]}"; printf '%s\n' "$place"; } | sha256sum >"$place/stamp.new"
if ! cmp -s "$place/stamp.new" "$place/stamp"; then
  rm -f "$place/stamp"
  echo "making an arm64 Python in $1 (800 MB, a minute or two, once) …" >&2
  if ! arm64_root || ! arm64_wheels; then
    tail -n 15 "$place/log" | sed 's/^/  | /' >&2
    environment_fail "error: the arm64 Python could not be made" "  found:   the last lines of $place/log, above" \
      "  expected: a reachable Debian archive and package registry"
  fi
  cp "$place/stamp.new" "$place/stamp"
fi
arm64_cpuinfo
emulated_python "$place" "$debian/usr/bin/python$version" "$place/python" qemu-aarch64 -cpu "$cpu" -L "$debian"
