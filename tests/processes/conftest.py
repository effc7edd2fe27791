"""Misbehaving child processes, in a module that they can import."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import psutil
import pytest

MODULE = """
    import ctypes, os, signal, subprocess, sys, time

    from quantize.errors import ModelError


    def echo(parent):
        while True:
            parent.send({"said": parent.receive()["say"]})

    def own_id(_):
        return os.getpid()

    def divide_by_zero(_):
        sys.stderr.write("about to divide\\\\n")
        os.kill(os.getpid(), signal.SIGFPE)

    def read_nowhere(_):
        ctypes.string_at(0)

    def hang_in_native_code(path):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(path, "w").write(str(os.getpid()))
        ctypes.PyDLL(None).sleep(600)  # PyDLL: no other thread of this process runs meanwhile

    def hang_with_a_child(path):
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open(path, "w").write(str(grandchild.pid))
        time.sleep(600)

    def die_with_a_child(path):
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open(path, "w").write(str(grandchild.pid))
        os.kill(os.getpid(), signal.SIGSEGV)

    def allocate(size):
        block = bytearray(b"x") * size
        time.sleep(600)
        return len(block)

    def print_and_return(value):
        print("garbage that a library prints")
        os.write(1, b"more of it\\\\n")
        return value

    def print_between_messages(parent):
        os.write(parent._out.fileno(), b"{garbage\\\\n")
        time.sleep(600)

    def nest_deeply(parent):
        os.write(parent._out.fileno(), b"[" * 200_000 + b"\\\\n")
        time.sleep(600)

    def sleep(seconds, watch):
        watch.stage("it slept")
        time.sleep(seconds)
        return os.getpid()

    def in_fork(job, watch):
        name, argument = job
        watch.stage(f"it ran {name}")
        return globals()[name](argument)

    def write(path):
        with open(path, "wb") as stream:
            stream.write(bytes(100 << 20))

    def grow(sizes, watch):
        first, allowed, second = sizes
        bytearray(b"x") * first
        watch.allow(allowed)
        return len(bytearray(b"x") * second)

    def refuse(path):
        raise ModelError("no model", where=path, found="3 bytes", expected="a graph", advice="look elsewhere")

    def fail(_):
        return 1 / 0
"""


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Yield the module of the functions above, and check afterwards that no child is left."""
    (tmp_path / "misbehaving.py").write_text(textwrap.dedent(MODULE).replace("\\\\n", "\\n"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "misbehaving", raising=False)
    yield import_module("misbehaving")
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [line for line in commands if "quantize.processes" in line and "serve_forks" not in line]


@pytest.fixture
def ended() -> Callable[[int], bool]:
    """Return whether a process is gone, or a zombie that nobody has waited for."""

    def gone(pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            psutil.wait_procs([process], timeout=10)
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return gone
