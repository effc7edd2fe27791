"""What workers do in tests of how jobs are handed out."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from distributed import get_worker

from quantize.errors import ExitCode
from quantize.sweep.tuning import Outcome


def nap(seconds: float) -> Outcome:
    """Sleep, and return when."""
    start = time.time()
    time.sleep(seconds)
    return Outcome(ExitCode.DONE, facts=f"{start} {time.time()}", worker=str(get_worker().name))


def kill_worker(marker: Path | None) -> Outcome:
    """Kill the worker: every time, or only while there is no marker."""
    if marker is None or not marker.exists():
        if marker is not None:
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(ExitCode.DONE, worker=str(get_worker().name))
