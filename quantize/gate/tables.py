"""A check as tables of words, for the terminal and for Markdown."""

from __future__ import annotations

from quantize.gate.result import GateResult
from quantize.report.tables import Table
from quantize.report.wording import NOTHING


def lines_table(result: GateResult) -> Table:
    """Return a row a tolerance."""
    rows = tuple(
        (
            line.title,
            line.baseline or NOTHING,
            line.found or NOTHING,
            line.allowed,
            line.verdict,
        )
        for line in result.lines
    )
    notes = tuple(f"{line.title}: {line.note}." for line in result.lines if line.note and line.verdict != "pass")
    return Table("Tolerances", ("tolerance", "baseline", "found", "allowed", "verdict"), rows, notes, prose=True)


def differences_table(result: GateResult) -> Table | None:
    """Return a row for everything that is not as in the baseline, or None where all is."""
    if not result.differences:
        return None
    rows = tuple((one.what, one.baseline, one.found) for one in result.differences)
    return Table("What changed since the baseline", ("what", "baseline", "this run"), rows, prose=True)
