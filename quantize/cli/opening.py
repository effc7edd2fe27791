"""The two flags of commands that open a model and take no settings: how much that may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantize.opening.bounds import Bounds

MEMORY = "Memory limit for opening a model. (default: 2 GB plus 6 times its size)"
TIME = "Time limit for opening a model. (default: 60)"


def bounds(max_memory: int | None, opening_seconds: float | None) -> Bounds:
    """Return the bounds that the flags set."""
    from quantize.opening.bounds import SECONDS, Bounds

    return Bounds(max_memory, opening_seconds or SECONDS)
