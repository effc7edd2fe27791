"""Tables and sentences as plain text for a terminal or a log, 80 columns wide."""

from __future__ import annotations

import io
import textwrap

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from quantize.report.table import Table
from quantize.report.wording import one_line, unparted

WIDTH = 80
_LONGEST = 2000


def drawn(table: Table) -> str:
    """Return a table as text, with its notes below."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(table.columns):
        grid.add_column(Text(column), justify="left" if position == 0 or table.prose else "right", overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(one_line(word)) for word in row))
    console.print(grid)
    file = console.file
    assert isinstance(file, io.StringIO)
    body = "\n".join(line.rstrip() for line in file.getvalue().splitlines())
    return "\n".join([table.title, body, *(wrapped(note, "  ") for note in table.notes)])


def wrapped(text: str, indent: str = "", *, hanging: int = 0) -> str:
    """Return a text of one paragraph in lines of at most 80 columns, each after ``indent``; numbers keep their units.

    Args:
        text: The paragraph.
        indent: What every line begins with.
        hanging: Columns by which all lines but the first are indented further.
    """
    lines = textwrap.fill(
        unparted(one_line(text, _LONGEST)),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + " " * hanging,
        break_on_hyphens=False,
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")
