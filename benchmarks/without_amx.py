"""Run a Python script in a process that Linux refuses AMX, so that onnxruntime takes what a CPU with VNNI alone has.

    python benchmarks/without_amx.py benchmarks/conv_products.py MODEL-int8.onnx
    python benchmarks/without_amx.py -m quantize benchmark …

onnxruntime asks Linux for AMX when it is loaded, and Linux refuses it where a signal stack is too small for its tiles:
that is all that this does. Threads and children of the process have no such stack, but permission is the process's; a
child that is not a fork asks anew, and may be given it.
"""

from __future__ import annotations

import ctypes
import runpy
import sys

_SMALL, _TILE_DATA, _ARCH_PRCTL, _REQUEST = 6000, 18, 158, 0x1023


class _Stack(ctypes.Structure):
    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_STACK = ctypes.create_string_buffer(_SMALL)


def refuse_amx() -> None:
    """Let Linux refuse AMX to this process; to be called before onnxruntime is loaded.

    Raises:
        OSError: It grants it all the same, or there is no such stack.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    stack = _Stack(ctypes.cast(_STACK, ctypes.c_void_p), 0, _SMALL)
    if libc.sigaltstack(ctypes.byref(stack), None) or not libc.syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA):
        raise OSError(ctypes.get_errno(), "AMX is not refused")


def main(command: list[str]) -> None:
    """Refuse it and run the script or, after ``-m``, the module."""
    if not command or command == ["-m"]:
        sys.exit("name a script, or -m and a module")
    refuse_amx()
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
