"""How much memory a process holds and has held."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.processes.memory import give_back_unused, peak_resident_bytes, resident_bytes


def test_the_peak_remembers_memory_that_is_gone_until_it_is_told_to_forget():
    """Runs in a separate process, because memory that other tests free here would count as well."""
    lines = [
        "from quantize.processes.memory import forget_peak, peak_resident_bytes",
        "print(int(forget_peak()), peak_resident_bytes())",
        "block = bytearray(b'x' * 80_000_000)",
        "del block",
        "print(peak_resident_bytes())",
        "forget_peak()",
        "print(peak_resident_bytes())",
    ]
    script = "\n".join(lines)
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    if output[0] == "0":
        pytest.skip("this kernel does not let a process forget its peak")
    before, peak, after = map(int, output[1:])
    assert peak - before > 70_000_000
    assert peak - after > 70_000_000


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells it of another process")
def test_the_peak_of_a_child_is_reported_while_it_lives():
    command = [sys.executable, "-c", "input(print('there', flush=True) or '')"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"  # before that it may not be more than a fork
        alive = peak_resident_bytes(child.pid)
        child.communicate(b"\n")
    assert alive is not None
    assert alive > 1_000_000
    assert peak_resident_bytes(child.pid) is None


def test_freed_memory_goes_back_to_the_system() -> None:
    blocks = [bytes(1000) for _ in range(50_000)]
    kept = blocks[::5000]  # what is freed lies around them
    full = resident_bytes()
    del blocks
    give_back_unused()
    assert len(kept) == 10
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        assert resident_bytes() < full - 30_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
def test_large_blocks_go_back_to_the_system_as_they_are_freed() -> None:
    """Runs in a separate process, which stays so."""
    lines = [
        "import ctypes",
        "from quantize.processes.memory import keep_little_unused, resident_bytes",
        "libc = ctypes.CDLL(None)",
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]",
        "libc.free.argtypes = [ctypes.c_void_p]",
        "def filled(size):",
        "    block = libc.malloc(size)",
        "    ctypes.memset(block, 1, size)",
        "    return block",
        "keep_little_unused()",
        "libc.free(filled(30 << 20))",  # after which glibc would keep what is smaller
        "blocks = [filled(8 << 20) for _ in range(8)]",
        "full = resident_bytes()",
        "for block in blocks[:-1]: libc.free(block)",  # the last one is left at the top of a heap
        "print(full - resident_bytes())",
    ]
    script = "\n".join(lines)
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(output) > 50_000_000
