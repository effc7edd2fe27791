"""Signals that meet a process while it loads modules, and native code that makes another error of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import signal, sys
import quantize.cli.main as cli
from quantize.errors import ExitCode

def load():
    import slow_module
    print(slow_module.__name__, flush=True)
    slow_module.wait()

def swallow():
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt as error:
        raise ImportError("native code was interrupted") from error

def leave_a_thread():
    import threading, time
    threading.Thread(target=time.sleep, args=(300,)).start()
    print("at work", flush=True)
    signal.raise_signal(signal.SIGTERM)

for command in (load, swallow, leave_a_thread):
    cli.COMMANDS[command.__name__] = command
cli.run()
"""
_MODULE = """
import signal, sys, time
signal.raise_signal(signal.{name})
loaded = True

def wait():
    print("loaded", flush=True)
    time.sleep(60)
"""


def _run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{_SCRIPT}", command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "message"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated by a signal")])
def test_a_signal_waits_until_a_module_is_imported(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text(_MODULE.format(name=name))
    done = _run(tmp_path, "load")
    assert (done.returncode, done.stderr) == (130, f"{message}\n")
    assert done.stdout == "slow_module\nloaded\n"


def test_an_error_that_native_code_makes_of_a_signal_is_no_bug(tmp_path: Path) -> None:
    done = _run(tmp_path, "swallow")
    assert (done.returncode, done.stderr) == (130, "terminated by a signal\n")


def test_a_thread_at_work_holds_up_nothing(tmp_path: Path) -> None:
    # Python waits for threads, but for one whose end was waited for when the signal came: that one goes on inside
    # onnxruntime while the interpreter is taken down, and the process is aborted (134).
    done = _run(tmp_path, "leave_a_thread")
    assert (done.returncode, done.stdout, done.stderr) == (130, "at work\n", "terminated by a signal\n")


def test_handlers_are_put_back() -> None:
    from quantize.cli.signals import interrupt_on_termination

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interrupt_on_termination():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
