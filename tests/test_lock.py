from __future__ import annotations

import socket
import subprocess
import sys
from datetime import date

import pytest

from quantize.errors import RunError, StorageError
from quantize.lock import HeldError, refuse_held, run_lock

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
            with pytest.raises(HeldError, match="another run is at work") as refused:
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
        with pytest.raises(HeldError, match="another process"):
            refuse_held(tmp_path / "work")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_holder_whose_folder_went_away_is_told_and_leaves_the_other_one_alone(tmp_path, replaced):
    work = tmp_path / "work"

    def hold():
        with run_lock(work) as still_held:
            still_held()
            work.rename(tmp_path / "elsewhere")
            if replaced:
                work.mkdir()
                (work / "run.lock").touch()
                (work / "run.holder.json").write_text("another")
            with pytest.raises(RunError, match="removed or replaced"):
                still_held()
            raise ValueError("what came of it")

    with pytest.raises(RunError, match="removed or replaced") as told:
        hold()
    assert isinstance(told.value.__cause__, ValueError)
    assert not replaced or (work / "run.holder.json").read_text() == "another"


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def acquire(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("quantize.lock.FileLock.acquire", acquire)
    with pytest.raises(StorageError, match="the file system has no locks"):
        take(tmp_path / "work")
