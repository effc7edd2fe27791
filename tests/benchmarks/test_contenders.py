from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from contest import contenders


def test_what_a_command_said_last_is_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('first'); sys.exit('no such layer')"]
    assert contenders._ended(command, tmp_path / "tool") == "ended with exit code 1: no such layer"
    assert contenders._ended(command, tmp_path / "tool", (0, 1)) is None


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "LIMIT_SECONDS", 1)
    started = tmp_path / "started"
    command = ["/bin/sh", "-c", f"sleep 60 & echo $! > {started}; wait"]
    assert contenders._ended(command, tmp_path / "tool") == "not ready after 0 minutes"
    child = int(started.read_text(encoding="utf-8"))
    for _ in range(50):
        if not _runs(child):
            return
        time.sleep(0.1)
    raise AssertionError(f"{child} still runs")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"
