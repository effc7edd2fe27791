"""The report as plain text for a terminal or a log, 80 columns wide."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from quantize.measurement.timing.doubts import doubts
from quantize.report.accuracy_tables import accuracy_table, drop_table
from quantize.report.conclusion import conclusion
from quantize.report.provenance import replay_sentences
from quantize.report.schema import RunReport
from quantize.report.search_tables import engines_table
from quantize.report.speed_tables import speed_table
from quantize.report.table import Table
from quantize.report.wording import one_line

WIDTH = 80
_LONGEST = 2000


OWN_DATA = (
    "",
    "  bash run_tuning.sh --input_model=MODEL.onnx --config=configs/squeezenet.yaml \\",
    "      --data_path=IMAGES --label_path=LABELS.txt --output_model=FOLDER",
)


def summary(report: RunReport) -> str:
    """Return what a person wants to know at the end of a run."""
    told = conclusion(report)
    parts = [wrapped(f"{Path(report.source.path).name}: {report.verdict.headline}"), wrapped(told.recommendation), ""]
    parts += [wrapped(f"{point.subject}: {point.text}", "  ", hanging=2) for point in told.points]
    parts += ["", wrapped(report.verdict.text)]
    parts += [wrapped(reason, "  ") for reason in report.verdict.reasons]
    if report.replay is not None:
        parts += [wrapped(sentence, "  ") for sentence in replay_sentences(report.replay)]
    if report.machine is not None:
        parts.append(wrapped(report.machine.line + ".", "  "))
    for table in (accuracy_table(report), drop_table(report), speed_table(report), engines_table(report)):
        if table is not None:
            parts.append("\n" + drawn(table))
    reasons = doubts(report.measurement) if report.measurement is not None else ()
    if reasons:
        names = ", ".join(dict.fromkeys(doubt.name for doubt in reasons))
        parts.append(wrapped(f"Measurement warnings: {names}. report.md says what to do.", "  "))
    parts.append("\nfiles")
    written = report.models if report.input_contract is None else (*report.models, report.baseline)
    parts += [f"  {one_line(model.file)}" for model in written]
    parts += ["  report.json, report.md, report.html, flips.csv, config.yaml, trials.jsonl"]
    if report.data.demonstration:
        parts += ["", wrapped("That was a demonstration on 20 photographs. On your own model and images:"), *OWN_DATA]
    return "\n".join(parts)


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
    """Return a text of one paragraph in lines of at most 80 columns, each after ``indent``.

    Args:
        text: The paragraph.
        indent: What every line begins with.
        hanging: Columns by which all lines but the first are indented further.
    """
    return textwrap.fill(
        one_line(text, _LONGEST),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + " " * hanging,
        break_on_hyphens=False,
    )
