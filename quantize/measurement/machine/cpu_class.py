"""Which class of CPUs this machine belongs to."""

from __future__ import annotations

import os
import platform
from functools import cache

from quantize.errors import ConfigError
from quantize.measurement.machine import cpu
from quantize.measurement.machine.cpuid import cpuid, x86_flags
from quantize.target import CPU_CLASSES, CpuClass

CPU_CLASS = "QUANTIZE_CPU_CLASS"
"""Environment variable that names the class in place of asking the processor; for tests."""

_VNNI = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"})


def this_cpu_class() -> CpuClass:
    """Return this machine's class, or the one that the environment variable names.

    Raises:
        ConfigError: The variable names no class.
    """
    named = os.environ.get(CPU_CLASS)
    if not named:
        return _own_class()
    for known in CPU_CLASSES:
        if named == known:
            return known
    raise ConfigError(
        "there is no such class of CPUs",
        where=f"the environment variable {CPU_CLASS}",
        found=named,
        expected=", ".join(CPU_CLASSES),
        advice="unset it: the class is then asked of the processor",
    )


def class_of(architecture: str, flags: frozenset[str]) -> CpuClass:
    """Return the class of a CPU.

    Args:
        architecture: As the system names it, such as ``x86_64``.
        flags: Its instruction sets, named as Linux names them.
    """
    if architecture.lower() in ("aarch64", "arm64"):
        return "arm64"
    if flags & _VNNI:
        return "vnni"
    return "avx2" if "avx2" in flags else "any"


@cache
def instruction_sets() -> frozenset[str]:
    """Return which of the instruction sets that matter to int8 the processor has, named as Linux names them."""
    execute = cpuid()
    # Where CPUID cannot be executed, nothing emulates it either: the system's own words are as good.
    return frozenset(cpu.isa_flags() or ()) if execute is None else x86_flags(execute)


@cache
def _own_class() -> CpuClass:
    return class_of(platform.machine(), instruction_sets())
