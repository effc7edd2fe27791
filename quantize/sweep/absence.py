"""How long something has been missing, in time that was really spent waiting.

A process that is stopped, or a machine that sleeps, sees the clock jump; what it waits for had no chance to come then.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST_LOOK = 5.0
"""Seconds between two looks that count at most."""


class Absence:
    """Counts the seconds since something was last there.

    Args:
        patience: Seconds after which it is gone.
        clock: Gives the time in seconds.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._waited = 0.0
        self._looked = clock()

    def look(self, *, there: bool) -> None:
        """Tell whether it is there now."""
        now = self._clock()
        self._waited = 0.0 if there else self._waited + min(now - self._looked, _LONGEST_LOOK)
        self._looked = now

    @property
    def is_long(self) -> bool:
        """Return whether it has been missing for longer than the patience."""
        return self._waited > self._patience
