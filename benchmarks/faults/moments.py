"""Moments of a run, told by the file that it has just written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

MOMENTS = (
    "work/fp32.onnx",
    "work/evaluation.scores",
    "trials.jsonl",
    "work/candidates",
    "colours-13-int8.onnx",
    "report.md",
)
"""What a run writes first, later and last: a fault waits for it."""


def once(path: Path, act: Callable[[int], None]) -> Callable[[int], bool]:
    """Return what acts, with the process's id, as soon as a path is there."""

    def look(pid: int) -> bool:
        if not path.exists():
            return False
        act(pid)
        return True

    return look
