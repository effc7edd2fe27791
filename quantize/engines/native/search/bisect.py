"""Finding the first rung that passes with a number of evaluations that grows with the logarithm of the rungs."""

from __future__ import annotations


class Bisection:
    """Says which rung to try next.

    Passing is taken to be monotone: what passes stays so further down. The first rung is tried first, as it mostly
    passes, then the last; then what is left is halved. Where passing is not monotone, ``found`` still passed itself.
    """

    def __init__(self, count: int) -> None:
        """Set up for ``count`` rungs."""
        self._fails, self._passes = -1, count
        self._count = count

    @property
    def found(self) -> int | None:
        """Return the first rung known to pass, or None."""
        return self._passes if self._passes < self._count else None

    @property
    def next(self) -> int | None:
        """Return the rung to try next, or None where the search is over."""
        if self._passes - self._fails <= 1:
            return None
        if self._fails < 0:
            return 0
        if self._passes == self._count:
            return self._count - 1
        return (self._fails + self._passes) // 2

    def tell(self, rung: int, *, passed: bool) -> None:
        """Record whether a rung passed."""
        if passed:
            self._passes = min(self._passes, rung)
        else:
            self._fails = max(self._fails, rung)
            if rung == self._count - 1:
                self._passes = self._count
                self._fails = self._count
