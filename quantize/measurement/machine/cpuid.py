"""What the processor says of itself: the CPUID instruction, which an emulator answers for the CPU that it emulates."""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Callable

# mov eax, edi; mov ecx, esi; push rbx; mov r8, rdx; cpuid; mov [r8], eax, ebx, ecx, edx; pop rbx; ret
# Arguments come in edi, esi and rdx: the System V calling convention, that of Linux and macOS.
_CODE = bytes.fromhex("89f8 89f1 53 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3")

Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX and EDX."""
Cpuid = Callable[[int, int], Registers]
"""Returns what the processor answers for a leaf and a subleaf."""

# (leaf, subleaf, register, bit) by flag, named as Linux names them.
# Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID.
_FLAGS = {
    "avx2": (7, 0, 1, 5),
    "avx512f": (7, 0, 1, 16),
    "avx512_vnni": (7, 0, 2, 11),
    "amx_int8": (7, 0, 3, 25),
    "avx_vnni": (7, 1, 0, 4),
    "avx_vnni_int8": (7, 1, 3, 4),
}


def cpuid() -> Cpuid | None:
    """Return a function that executes CPUID, or None where that cannot be done.

    It cannot where the CPU is no x86-64, on Windows (another calling convention), and where the system keeps a process
    from making memory executable.
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
    return frozenset(
        name
        for name, (leaf, subleaf, register, bit) in _FLAGS.items()
        if subleaf <= subleaves and execute(leaf, subleaf)[register] >> bit & 1
    )
