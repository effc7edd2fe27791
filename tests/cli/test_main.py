"""The console script as a process: exit codes, signals, streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.quoting import quoted

# Commands that fail in each way that a command can, added to the real ones.
_SCRIPT = """
import sys, time
from pathlib import Path
from typing import Annotated
import quantize.cli.main as cli
from quantize.cli.options import Argument
from quantize.errors import ExitCode, ModelError

def boom():
    return 1 / 0

def refuse():
    raise ModelError("not a model", where="x.onnx")

def wait():
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("closed", file=sys.stderr)

def write(place: Annotated[str, Argument("Where.", "PLACE")]):
    Path(place).write_text("x")
    return ExitCode.DONE

def inconclusive():
    cli.print_result("line\\n" * 100000)
    return ExitCode.INCONCLUSIVE

for command in (boom, refuse, wait, write, inconclusive):
    cli.COMMANDS[command.__name__] = command
cli.run()
"""


def _run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


def test_a_bug_keeps_its_traceback_and_asks_to_be_reported() -> None:
    done = _run("boom")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("this is a bug in quantize ")


def test_what_the_user_can_fix_has_no_traceback() -> None:
    done = _run("refuse")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: x.onnx: not a model\n")


def test_a_place_that_cannot_be_written_is_no_bug(tmp_path: Path) -> None:
    name = "n" * 300
    done = _run("write", str(tmp_path / name))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {quoted(tmp_path / name)}: File name too long\n")


def test_the_exit_code_of_a_command_is_the_process_s() -> None:
    assert _run("inconclusive").returncode == 3


def test_a_reader_that_goes_away_changes_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, "inconclusive"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 3


@pytest.mark.parametrize(
    ("number", "message"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated by a signal")]
)
def test_signals_end_a_command_with_130_after_it_has_cleaned_up(number: int, message: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stderr.read() == f"closed\n{message}\n"
        assert process.wait(60) == 130


@pytest.mark.parametrize("asked", [["--version"], ["tune", "--help"]])
def test_a_full_disk_behind_stdout_is_reported(asked: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "quantize", *asked], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_and_the_script_are_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "quantize", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("quantize ")
    assert done.stderr == ""


def test_a_terminal_that_knows_only_ascii_gets_readable_text() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = _run("zebra\u00e9", env=environment)
    assert done.returncode == 2
    assert "unknown command" in done.stderr
