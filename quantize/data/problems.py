"""All problems of a data set in one error: the first ten and the count."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantize.errors import DataError

_SHOWN = 10
_KEPT = 1000


@dataclass
class Problems:
    """Problems found while reading, to be raised together; the first ones are kept, and all are counted."""

    _first: list[tuple[int, str, str]] = field(default_factory=list)
    _count: int = 0

    def add(self, order: int, where: str, text: str) -> None:
        """Note a problem.

        Args:
            order: Place in the data, such as the line number: the error lists problems in this order.
            where: File and line, or file.
            text: What is wrong.
        """
        self._first.append((order, where, text))
        self._count += 1
        if len(self._first) > _KEPT:  # a stranger's list has as many as it has lines
            self._first = sorted(self._first)[:_SHOWN]

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def raise_any(self, what: str, *, expected: str | None = None, advice: str | None = None) -> None:
        """Raise the first ten with the count of all; return if there are none.

        Args:
            what: What has the problems, for the headline: "12 problems in WHAT".
            expected: What was expected instead.
            advice: What to do.

        Raises:
            DataError: There is at least one problem.
        """
        if not self._count:
            return
        shown = sorted(self._first)[:_SHOWN]
        if self._count == 1:
            _, where, text = shown[0]
            raise DataError(text, where=where, expected=expected, advice=advice)
        lines = [f"{where}: {text}" for _, where, text in shown]
        if self._count > _SHOWN:
            lines.append(f"and {self._count - _SHOWN:,} more")
        raise DataError(
            f"{self._count:,} problems in {what}",
            found=lines,
            expected=expected,
            advice=advice,
        )
