"""The class of CPUs that this machine belongs to.

On x86 the CPUID instruction decides: an emulator answers it for the CPU that it emulates.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Callable
from functools import cache

from quantize.cpus.registry import CLASSES, class_of
from quantize.errors import ConfigError
from quantize.measurement.machine import cpu
from quantize.target import CpuClass

CPU_CLASS = "QUANTIZE_CPU_CLASS"
"""Environment variable that overrides the detected class; for tests."""

# mov eax, edi; mov ecx, esi; push rbx; mov r8, rdx; cpuid; mov [r8], eax, ebx, ecx, edx; pop rbx; ret
# Arguments come in edi, esi and rdx: the System V calling convention, that of Linux and macOS.
_CODE = bytes.fromhex("89f8 89f1 53 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3")

Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX and EDX."""
Cpuid = Callable[[int, int], Registers]
"""Returns what the processor answers for a leaf and a subleaf."""


def this_cpu_class() -> CpuClass:
    """Return this machine's class, or the one that the environment variable names.

    Raises:
        ConfigError: The variable names no class.
    """
    named = os.environ.get(CPU_CLASS)
    if not named:
        return _own_class()
    if named in CLASSES:
        return named
    raise ConfigError(
        "there is no such class of CPUs",
        where=f"the environment variable {CPU_CLASS}",
        found=named,
        expected=", ".join(CLASSES),
        advice="unset it: the class is then asked of the processor",
    )


@cache
def instruction_sets() -> frozenset[str]:
    """Return which of the instruction sets that matter to int8 the processor has, named as Linux names them."""
    execute = cpuid()
    # Without CPUID there is no emulator either: what the system reports is as good.
    return frozenset(cpu.isa_flags() or ()) if execute is None else x86_flags(execute)


@cache
def _own_class() -> CpuClass:
    return class_of(platform.machine(), instruction_sets())


def cpuid() -> Cpuid | None:
    """Return a function that executes CPUID, or None if that is impossible.

    It needs x86-64, the calling convention of Linux and macOS, and a system that lets a process make memory executable.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or platform.system() == "Windows":
        return None
    try:
        memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except (OSError, ValueError):
        return None
    memory.write(_CODE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(address)

    def execute(leaf: int, subleaf: int) -> Registers:
        registers = (ctypes.c_uint32 * 4)()
        call(leaf, subleaf, ctypes.addressof(registers))
        assert memory  # the code lives as long as the function that calls it
        return registers[0], registers[1], registers[2], registers[3]

    return execute


def x86_flags(execute: Cpuid) -> frozenset[str]:
    """Return which of the instruction sets that matter to int8 the processor has."""
    most, *_ = execute(0, 0)
    if most < 7:
        return frozenset()
    subleaves, *_ = execute(7, 0)
    bits = {name: bit for traits in CLASSES.values() for name, bit in traits.cpuid.items()}
    return frozenset(
        name
        for name, (leaf, subleaf, register, bit) in bits.items()
        if subleaf <= subleaves and execute(leaf, subleaf)[register] >> bit & 1
    )
