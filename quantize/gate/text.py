"""A check as plain text for a terminal or a log, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable

from quantize.gate.result import GateResult, Line
from quantize.report.text import wrapped
from quantize.report.wording import NOTHING

_VERDICT = 19


def check_text(result: GateResult) -> str:
    """Return the outcome, then a line a tolerance: verdict, name, baseline, found, allowed."""
    parts = [wrapped(result.headline)]
    parts += [wrapped(note, "  ") for note in result.notes]
    parts.append("")
    parts.append(lines_text(result.lines))
    count = len(result.differences)
    if count:
        parts.append("")
        parts.append(wrapped(f"{count} things changed since the baseline; check.md lists them."))
    return "\n".join(parts)


def lines_text(lines: Iterable[Line]) -> str:
    """Return each line: verdict and title, then what it is held against, found and allowed."""
    return "\n".join(text for line in lines for text in _lines(line))


def _lines(line: Line) -> list[str]:
    indent = " " * (_VERDICT + 1)
    head = f"{line.verdict:<{_VERDICT}} {wrapped(line.title, indent).lstrip()}"
    told = f"found {line.found or NOTHING}, allowed {line.allowed}"
    if line.baseline is not None:
        told = f"baseline {line.baseline}, {told}"
    found = [head, wrapped(told, indent)]
    return [*found, wrapped(line.note, indent)] if line.note and line.verdict != "pass" else found
