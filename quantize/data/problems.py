"""All problems of a data set in one error: the first ten and the count."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantize.errors import DataError

_SHOWN = 10


@dataclass
class Problems:
    """Problems found while reading, to be raised together."""

    _problems: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, order: int, where: str, text: str) -> None:
        """Note a problem.

        Args:
            order: Place in the data, such as the line number: the error lists problems in this order.
            where: File and line, or file.
            text: What is wrong.
        """
        self._problems.append((order, where, text))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._problems)

    def raise_any(self, what: str, *, expected: str | None = None, advice: str | None = None) -> None:
        """Raise the first ten with the count of all; return if there are none.

        Args:
            what: What has the problems, for the headline: "12 problems in WHAT".
            expected: What was expected instead.
            advice: What to do.

        Raises:
            DataError: There is at least one problem.
        """
        if not self._problems:
            return
        problems = sorted(self._problems)
        if len(problems) == 1:
            _, where, text = problems[0]
            raise DataError(text, where=where, expected=expected, advice=advice)
        lines = [f"{where}: {text}" for _, where, text in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            lines.append(f"and {len(problems) - _SHOWN:,} more")
        raise DataError(
            f"{len(problems):,} problems in {what}",
            found=lines,
            expected=expected,
            advice=advice,
        )
