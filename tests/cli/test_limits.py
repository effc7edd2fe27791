"""Limits of the system, and signals before a command has begun."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from quantize.cli.limits import FEWEST_FILES, LEAST_ADDRESSES

_COMMAND = [sys.executable, "-m", "quantize", "zoo"]


@pytest.mark.parametrize(
    ("limit", "most", "flag"),
    [
        (resource.RLIMIT_NOFILE, FEWEST_FILES - 1, "ulimit -n"),
        (resource.RLIMIT_AS, LEAST_ADDRESSES - 1, "ulimit -v"),
    ],
)
def test_a_limit_that_no_command_can_work_within_is_refused_at_once(limit: int, most: int, flag: str) -> None:
    narrow = partial(resource.setrlimit, limit, (most, most))
    done = subprocess.run(_COMMAND, capture_output=True, text=True, preexec_fn=narrow, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {flag}: the system allows too ")
    assert f"say `{flag} " in done.stderr


def test_a_low_number_of_open_files_is_raised_where_that_is_allowed() -> None:
    narrow = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (FEWEST_FILES // 2, 4 * FEWEST_FILES))
    done = subprocess.run(_COMMAND, capture_output=True, text=True, preexec_fn=narrow, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_command_line_is_still_being_loaded_ends_it_without_a_traceback(
    tmp_path: Path, number: int
) -> None:
    loading = (
        "import builtins, os, sys\n"
        "from quantize.cli.start import run\n"
        "first = builtins.__import__\n"
        "def load(name, *more):\n"
        f"    if name == 'quantize.cli.main': os.kill(os.getpid(), {int(number)})\n"
        "    return first(name, *more)\n"
        "builtins.__import__ = load\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", loading, "zoo"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("named", ["~nobody-of-this-name", "~nobody-of-this-name/cache"])
def test_a_cache_in_the_home_of_nobody_is_something_to_fix(named: str, colour_model: Path) -> None:
    environment = {**os.environ, "QUANTIZE_CACHE": named}
    command = [sys.executable, "-m", "quantize", "machine", str(colour_model)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: QUANTIZE_CACHE: there is no such home folder" in done.stderr


def test_a_home_that_cannot_be_written_to_costs_the_cache_and_nothing_else(colour_model: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("QUANTIZE_CACHE", "XDG_CACHE_HOME")
    }
    command = [sys.executable, "-m", "quantize", "machine", str(colour_model)]
    environment["HOME"] = "/proc/nobody"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
