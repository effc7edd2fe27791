"""How functions that take a run are given one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantize.public.kinds import RunLike


def run_place(run: RunLike) -> Path:
    """Return the place of a run that is given as such, or as what ``tune`` returned."""
    from quantize.public.result import TuneResult

    return run.run if isinstance(run, TuneResult) else Path(run)
