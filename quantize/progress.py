"""How long-running work reports progress; only the command line draws it."""

from __future__ import annotations

from typing import Protocol

WHOLE_RUN = "the whole run"
"""The stage that all others are part of: seconds that have passed, of those that the run is expected to take."""


class Progress(Protocol):
    """Called with a stage's name, the steps done and the steps in all (None when not known)."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` steps of ``stage`` are finished."""
        ...


def silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""
