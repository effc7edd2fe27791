"""A table of a report: rows of text that the terminal, Markdown and HTML render alike."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {"fp32": "fp32", "int8": "int8 (QLinear)", "qdq": "int8 (QDQ)"}


@dataclass(frozen=True)
class Table:
    """Rows of words under a heading.

    Attributes:
        title: What it shows.
        columns: Heads of the columns; the first names the row.
        rows: As many words as columns in each.
        notes: What a reader must know to read it, one sentence each.
        prose: Its cells are words, not numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    prose: bool = False
