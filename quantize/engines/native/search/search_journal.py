"""The memory of a search: each step is computed once and recorded, and its time counts towards its stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from quantize.journal import Journal
from quantize.processes.memory import give_back_unused


class SearchJournal:
    """The steps of a search.

    Attributes:
        seconds: Time by stage, that of steps before a resumption included.
    """

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up.

        Args:
            journal: Of the run; finished steps are on disk before the next one begins.
            clock: Gives the time in seconds.
        """
        self._journal, self._clock = journal, clock
        self._began = clock()
        self._replayed = 0.0
        self._counted: set[str] = set()
        self.seconds: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, those of finished steps before a resumption included."""
        return self._clock() - self._began + self._replayed

    def remember(self, stage: str, name: str, compute: Callable[[], Any], kind: Any = Any) -> Any:
        """Return a step's JSON value, computed unless it was finished before.

        Args:
            stage: Which stage its time counts towards.
            name: Names the step and all that its value depends on.
            compute: Returns the value.
            kind: The value's type, see ``Journal.step``.
        """
        replayed = True

        def timed() -> dict[str, Any]:
            nonlocal replayed
            replayed = False
            began = self._clock()
            value = compute()
            give_back_unused()
            return {"value": value, "seconds": self._clock() - began}

        entry = self._journal.step(name, timed, kind=_timed_kind(kind))
        if name not in self._counted:  # the time of a step counts once, however often its value is used
            self._counted.add(name)
            self.seconds[stage] = self.seconds.get(stage, 0.0) + float(entry["seconds"])
            if replayed:
                self._replayed += float(entry["seconds"])
        return entry["value"]


@cache
def _timed_kind(kind: Any) -> type[BaseModel]:
    return create_model("Timed", value=(kind, ...), seconds=(float, ...))
