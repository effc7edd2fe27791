"""The steps of a search: each is done once, recorded in the journal, and its time goes to its stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from quantize.journal import Journal


class Steps:
    """Finished and running steps.

    Attributes:
        seconds: Time by stage, that of steps before a resumption included.
    """

    def __init__(self, journal: Journal) -> None:
        """Set up; finished steps are taken from ``journal``."""
        self._journal = journal
        self._began = time.monotonic()
        self._replayed = 0.0
        self._counted: set[str] = set()
        self.seconds: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, those of finished steps before a resumption included."""
        return time.monotonic() - self._began + self._replayed

    def step(self, stage: str, key: str, compute: Callable[[], Any]) -> Any:
        """Return a step's value, a JSON value, from the journal where it was finished before.

        Args:
            stage: What its time is counted as.
            key: Names the step and all that its value depends on.
            compute: Returns the value.
        """
        replayed = self._journal.finished(key)

        def timed() -> dict[str, Any]:
            began = time.monotonic()
            value = compute()
            return {"value": value, "seconds": time.monotonic() - began}

        entry = self._journal.step(key, timed)
        if key not in self._counted:  # a step that is asked for again took its time once
            self._counted.add(key)
            self.seconds[stage] = self.seconds.get(stage, 0.0) + float(entry["seconds"])
            if replayed:
                self._replayed += float(entry["seconds"])
        return entry["value"]
