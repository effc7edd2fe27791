from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from quantize.processes.child import ChildError, ChildProcess

ECHO = "misbehaving:echo"


def test_messages_go_both_ways(children):
    with ChildProcess(ECHO) as child:
        for said in ("one", {"two": [2]}, "ü\n"):
            child.send({"say": said})
            assert child.receive() == {"said": said}


def test_children_that_share_an_inbox_are_heard_together(children):
    inbox = queue.SimpleQueue()
    with ChildProcess(ECHO, inbox=inbox) as first, ChildProcess(ECHO, inbox=inbox) as second:
        first.send({"say": "first"})
        second.send({"say": "second"})
        answers = dict(inbox.get() for _ in range(2))
        assert answers == {first: {"said": "first"}, second: {"said": "second"}}


def test_it_runs_in_the_folder_and_with_the_environment_that_it_is_given(children, tmp_path):
    with ChildProcess(ECHO, folder=tmp_path, environment={"PYTHONHASHSEED": "0"}) as child:
        child.send({"say": ""})
        child.receive()
        if sys.platform == "linux":
            own = Path(f"/proc/{child.pid}")
            assert (own / "cwd").readlink() == tmp_path
            assert b"PYTHONHASHSEED=0" in (own / "environ").read_bytes().split(b"\0")


def test_a_file_next_to_the_user_is_not_imported_in_place_of_the_package(children, tmp_path, monkeypatch):
    for name in ("quantize", "onnx", "json"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "elsewhere" / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with ChildProcess(ECHO) as child:
        child.send({"say": 1})
        assert child.receive() == {"said": 1}


def test_what_it_prints_is_kept_on_request(children, tmp_path):
    with ChildProcess("misbehaving:missing", stderr=tmp_path / "log") as child:  # noqa: SIM117
        with pytest.raises(ChildError, match="misbehaving:missing: it ended with exit code 1") as caught:
            child.receive()
    assert "AttributeError" in caught.value.stderr
    assert "AttributeError" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("function", ["print_between_messages", "nest_deeply"])
def test_garbage_between_messages_ends_it(children, function):
    with ChildProcess(f"misbehaving:{function}", name="the reader") as child:  # noqa: SIM117
        with pytest.raises(ChildError, match="the reader: it said something that is not a message") as caught:
            child.receive()
    assert caught.value.reason == "garbled"


def test_a_killed_child_may_have_run_out_of_memory(children):
    with ChildProcess(ECHO) as child:
        child.send({"say": 1})
        child.receive()
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(ChildError, match="SIGKILL") as caught:
            child.receive()
        assert caught.value.out_of_memory
        with pytest.raises(ChildError, match="SIGKILL"):
            child.send({"say": 1})


def test_a_deadline_that_passed_ends_it(children, ended):
    with ChildProcess(ECHO) as child:
        with pytest.raises(ChildError, match="longer than it may") as caught:
            child.receive(time.monotonic() + 0.1)
        assert caught.value.reason == "time"
        assert ended(child.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child in native code outlives a killed parent")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent_even_in_native_code(children, tmp_path, ended, ending):
    script = textwrap.dedent("""
        import sys
        from misbehaving import hang_in_native_code
        from quantize.processes.calls import call_in_child
        call_in_child(hang_in_native_code, sys.argv[1], seconds=None, memory_bytes=None)
    """)
    pid = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(pid)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and time.monotonic() < give_up:
        time.sleep(0.02)
    parent.send_signal(ending)
    assert parent.wait(timeout=60) != 0
    assert ended(int(pid.read_text()))
