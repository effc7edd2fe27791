from __future__ import annotations

import os
import signal

import pytest

from quantize.errors import ModelError
from quantize.processes.calls import call_in_child
from quantize.processes.child import ChildError

LONG = 60.0
MIB = 1 << 20


def call(function, argument=None, *, seconds=LONG, memory_bytes=None):
    return call_in_child(function, argument, seconds=seconds, memory_bytes=memory_bytes)


def test_the_result_comes_back_and_what_is_printed_does_not_come_between(children, capfd):
    assert call(children.print_and_return, {"a": [1, None, "é"]}) == {"a": [1, None, "é"]}
    assert capfd.readouterr() == ("", "")


def test_the_function_runs_in_another_process(children):
    assert call(children.own_id) != os.getpid()


@pytest.mark.parametrize(("function", "number"), [("divide_by_zero", signal.SIGFPE), ("read_nowhere", signal.SIGSEGV)])
def test_a_crash_names_the_signal(children, function, number):
    with pytest.raises(ChildError, match=f"{function}: it ended by signal {number.name}") as caught:
        call(getattr(children, function))
    assert (caught.value.reason, caught.value.signal, caught.value.exit_code) == ("ended", number, None)


def test_an_exit_names_its_code(children):
    with pytest.raises(ChildError, match="it ended with exit code 7") as caught:
        call(os._exit, 7)
    assert (caught.value.reason, caught.value.signal, caught.value.exit_code) == ("ended", None, 7)


def test_an_error_has_the_last_lines_that_the_child_printed(children):
    with pytest.raises(ChildError) as caught:
        call(children.divide_by_zero)
    assert caught.value.stderr == "about to divide"
    assert str(caught.value).endswith("\nabout to divide")


def test_a_hang_in_native_code_that_ignores_sigterm_ends_with_its_time(children, tmp_path, ended):
    with pytest.raises(ChildError, match="longer than it may") as caught:
        call(children.hang_in_native_code, str(tmp_path / "pid"), seconds=3.0)
    assert caught.value.reason == "time"
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_child_that_takes_too_much_memory_is_ended(children):
    with pytest.raises(ChildError, match="more than 300 MiB of memory") as caught:
        call(children.allocate, 2000 * MIB, memory_bytes=300 * MIB)
    assert (caught.value.reason, caught.value.out_of_memory) == ("memory", True)


def test_a_child_within_its_bounds_is_left_alone(children):
    assert call(children.print_and_return, 1, memory_bytes=2000 * MIB) == 1


@pytest.mark.parametrize("function", ["hang_with_a_child", "die_with_a_child"])
def test_what_a_child_started_ends_with_it(children, tmp_path, ended, function):
    with pytest.raises(ChildError):
        call(getattr(children, function), str(tmp_path / "pid"), seconds=5.0)
    assert ended(int((tmp_path / "pid").read_text()))


def test_an_error_of_the_user_arrives_as_it_was_raised(children):
    with pytest.raises(ModelError) as caught:
        call(children.refuse, "a.onnx")
    error = caught.value
    assert (error.problem, error.where, error.found) == ("no model", "a.onnx", "3 bytes")
    assert (error.expected, error.advice) == ("a graph", "look elsewhere")


def test_a_bug_arrives_with_its_traceback(children):
    with pytest.raises(ChildError, match="fail: ZeroDivisionError: division by zero") as caught:
        call(children.fail)
    assert caught.value.reason == "raised"
    assert "return 1 / 0" in caught.value.stderr
