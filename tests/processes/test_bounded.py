from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from quantize.errors import ModelError
from quantize.processes.bounded import call_within_bounds
from quantize.processes.child import ChildError

LONG = 60.0
MIB = 1 << 20


def call(function, argument=None, *, seconds=LONG, memory_bytes=2000 * MIB):
    return call_within_bounds(function, argument, seconds=seconds, memory_bytes=memory_bytes)


@pytest.fixture
def run(children):
    """Run a function of the misbehaving module in a fork of the server."""

    def in_fork(name, argument=None, **bounds):
        return call(children.in_fork, (name, argument), **bounds)

    return in_fork


def test_each_call_has_a_process_of_its_own(children):
    pids = {call(children.sleep, 0.0) for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_what_is_printed_does_not_come_between(run, capfd):
    assert run("print_and_return", {"a": [1, None, "é"]}) == {"a": [1, None, "é"]}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("function", "number"), [("divide_by_zero", signal.SIGFPE), ("read_nowhere", signal.SIGSEGV)])
def test_a_crash_names_the_signal_and_the_stage_and_the_next_call_works(run, function, number):
    with pytest.raises(ChildError, match=f"it ended by signal {number.name}") as caught:
        run(function)
    assert (caught.value.reason, caught.value.signal) == ("ended", number)
    assert caught.value.stage == f"it ran {function}"
    assert run("print_and_return", 1) == 1


def test_an_error_has_the_last_lines_that_were_printed(run):
    with pytest.raises(ChildError) as caught:
        run("divide_by_zero")
    assert caught.value.stderr == "about to divide"


def test_a_hang_in_native_code_ends_with_its_time(run, tmp_path, ended):
    with pytest.raises(ChildError, match="it took longer than 1 s") as caught:
        run("hang_in_native_code", str(tmp_path / "pid"), seconds=1.0)
    assert caught.value.reason == "time"
    assert ended(int((tmp_path / "pid").read_text()))


def test_memory_beyond_the_bound_is_refused(run):
    with pytest.raises(ChildError) as caught:
        run("allocate", 1000 * MIB, memory_bytes=300 * MIB)
    assert (caught.value.reason, caught.value.out_of_memory) == ("memory", True)


def test_a_call_may_be_allowed_more(children):
    assert call(children.grow, (1, 2000 * MIB, 300 * MIB), memory_bytes=300 * MIB) == 300 * MIB
    with pytest.raises(ChildError) as caught:
        call(children.grow, (1, 300 * MIB, 300 * MIB))
    assert caught.value.out_of_memory


def test_errors_for_the_user_and_bugs_arrive_as_they_were_raised(run):
    with pytest.raises(ModelError) as refused:
        run("refuse", "a.onnx")
    assert (refused.value.problem, refused.value.where, refused.value.advice) == (
        "no model",
        "a.onnx",
        "look elsewhere",
    )
    with pytest.raises(ChildError, match="ZeroDivisionError: division by zero") as caught:
        run("fail")
    assert caught.value.reason == "raised"
    assert "return 1 / 0" in caught.value.stderr


def test_no_file_of_any_size_can_be_written(children, tmp_path):
    with pytest.raises(ChildError, match="File too large"):
        call(children.in_fork, ("write", str(tmp_path / "large")))


def test_a_call_of_a_thread_that_has_ended_does_not_end_the_next_one(run):
    thread = threading.Thread(target=run, args=("print_and_return", 1))
    thread.start()
    thread.join()
    assert run("print_and_return", 2) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM that is handled")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_no_fork_behind(children, tmp_path, ended, number):
    script = """if True:
        import sys
        from quantize.cli.signals import interrupt_on_termination
        from misbehaving import hang_in_native_code, in_fork
        from quantize.processes.bounded import call_within_bounds
        with interrupt_on_termination():
            call_within_bounds(
                in_fork, ("hang_in_native_code", sys.argv[1]), seconds=600, memory_bytes=10**9)
    """
    place = tmp_path / "pid"
    command = [sys.executable, "-c", script, str(place)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE) as parent:
        while not (place.exists() and place.read_text()):
            assert parent.poll() is None
            time.sleep(0.01)
        parent.send_signal(number)
        parent.wait(LONG)
    assert ended(int(place.read_text()))
