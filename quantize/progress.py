"""How long-running work reports progress; only the command line draws it."""

from __future__ import annotations

from typing import Protocol

WHOLE_RUN = "the whole run"
"""The stage that all others are part of: seconds that have passed, of those that the run is expected to take."""

ENDED = (1, 1)
"""Steps done and steps in all that tell the end of a stage which has no steps of its own, whatever was told before."""


class Progress(Protocol):
    """Called with a stage's name, the steps done and the steps in all (None when not known)."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` steps of ``stage`` are finished."""
        ...


def silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""


def duration(seconds: float) -> str:
    """Return a duration as it was measured, such as ``3.4 s`` or ``1 h 02 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def roughly(seconds: float) -> str:
    """Return a duration that is only estimated: to a second below ten, to five below a minute, to ten from then on."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    step = 5 if seconds < 57.5 else 10
    return duration(step * round(seconds / step)).replace(".0 s", " s")
