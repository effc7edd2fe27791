from __future__ import annotations

import socket
import subprocess
import sys
from datetime import date

import pytest

from quantize.errors import RunError
from quantize.lock import refuse_held, run_lock

HOLD = """
import sys, time
from pathlib import Path
from quantize.lock import run_lock

with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def take(folder):
    with run_lock(folder, patience=0.0):
        pass


def test_a_second_run_in_the_same_folder_learns_who_holds_it_until_that_process_is_gone(tmp_path):
    work = tmp_path / "work"
    refuse_held(work)
    assert list(tmp_path.iterdir()) == []
    with subprocess.Popen([sys.executable, "-c", HOLD, str(work)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        for second in (refuse_held, take):
            with pytest.raises(RunError, match="another run is at work") as refused:
                second(work)
            message = str(refused.value)
            assert f"process {holder.pid} on {socket.gethostname()}, since {date.today().year}" in message
            assert str(tmp_path) in message
        holder.kill()
    refuse_held(work)
    take(work)


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path):
    with run_lock(tmp_path / "work"):
        (tmp_path / "work" / "run.holder.json").write_text("{")
        with pytest.raises(RunError, match="another process"):
            refuse_held(tmp_path / "work")
