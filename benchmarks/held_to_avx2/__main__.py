"""Run a command whose onnxruntime is held to its AVX2 kernels, on an x86-64 CPU that has more.

    python benchmarks/held_to_avx2 quantize machine
    python benchmarks/held_to_avx2 python -m pytest tests/formats

What it does: it copies this environment's onnxruntime into build/held_to_avx2, replaces the CPUID instructions of the
copy by an illegal one, and answers those in a signal handler with what CPUID answers, but for AVX512, VNNI and AMX. So
onnxruntime takes the int8 and fp32 kernels that it takes on a CPU with AVX2 alone: natively, without an emulator. The
command runs with that copy first on PYTHONPATH, and with QUANTIZE_CPU_CLASS=avx2, for quantize asks CPUID itself.

What it is not: a CPU of that class. Its sums are those of an AVX2 CPU, bit for bit, since they are its instructions;
its times are those of this core's AVX2 units, clock and caches. A Zen 5 held to AVX2 has the limit of 2.0x that Zen 3
has; Haswell and Zen 1 have 1.0x (docs/cpus.md). numpy and everything else take the kernels that they always take.

Needs Linux on x86-64, gcc, objdump and readelf (packages gcc and binutils). Half a minute the first time, and again
after an update of onnxruntime.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
from patching import patch

_HERE = Path(__file__).resolve().parent
_BUILD = _HERE.parents[1] / "build" / "held_to_avx2"
_TOOLS = ("gcc", "objdump", "readelf")


def main(command: list[str]) -> None:
    """Make the copy where there is none, and become the command."""
    if not command:
        sys.exit("name a command, such as: python benchmarks/held_to_avx2 quantize machine")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        sys.exit(f"not found: {', '.join(missing)}; install the packages gcc and binutils")
    packages = held_packages()
    environment = {
        **os.environ,
        "LD_PRELOAD": os.pathsep.join(filter(None, [str(_handler()), os.environ.get("LD_PRELOAD")])),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "QUANTIZE_CPU_CLASS": "avx2",
    }
    os.execvpe(command[0], command, environment)


def held_packages() -> Path:
    """Return the folder with the patched copy of this environment's onnxruntime; it is made where it is missing."""
    packages = _BUILD / f"onnxruntime-{onnxruntime.__version__}"
    if packages.is_dir():
        return packages
    begun = packages.with_suffix(f".{os.getpid()}")
    source = Path(onnxruntime.__file__).parent
    shutil.copytree(source, begun / "onnxruntime", ignore=shutil.ignore_patterns("__pycache__"))
    count = sum(patch(library) for library in sorted(begun.rglob("*.so*")))
    if not count:
        sys.exit(f"no CPUID instruction found in {source}: another build of onnxruntime?")
    print(f"{count} CPUID instructions replaced in {packages}", file=sys.stderr)
    begun.rename(packages)
    return packages


def _handler() -> Path:
    source, library = _HERE / "cpuid.c", _BUILD / "cpuid.so"
    if not library.is_file() or library.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


if __name__ == "__main__":
    main(sys.argv[1:])
