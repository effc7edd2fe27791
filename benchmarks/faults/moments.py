"""Moments of a run, told by the file that it has just written."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MOMENTS = (
    "work/fp32.onnx",
    "work/evaluation.scores",
    "trials.jsonl",
    "work/candidates",
    "colours-13-int8.onnx",
    "report.md",
)
"""What a run writes first, later and last: a fault waits for it."""

_LAST = "report.json"
"""What a run writes at its end: a folder that holds it is a whole run's, and nothing can break that off any more."""

_POLL = 0.001


def once(run: Path, moment: str, act: Callable[[int], None]) -> Callable[[int], bool]:
    """Return what acts on a process once a file is in its run's folder; it is held meanwhile.

    Args:
        run: The run's folder.
        moment: The file in it.
        act: Called with the process's id, unless the run was whole before, or the process had ended.

    Returns:
        What is called with the process's id again and again; it returns whether it has acted.
    """

    def look(pid: int) -> bool:
        if not (run / moment).exists() or not _stopped(pid):
            return False
        try:
            if (run / _LAST).exists():
                return False
            act(pid)
        finally:
            os.kill(pid, signal.SIGCONT)
        return True

    return look


def _stopped(pid: int) -> bool:
    """Stop a child process; return False if it has ended."""
    os.kill(pid, signal.SIGSTOP)
    while (status := psutil.Process(pid).status()) != psutil.STATUS_STOPPED:
        if status == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(_POLL)
    return True
