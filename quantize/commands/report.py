"""Regenerate the report of a run from JSON, or compare several runs in a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.files import write_text
from quantize.report.comparison import Comparison, compare
from quantize.report.flipped_images import without_pictures
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.report.trend import comparison_html
from quantize.run.folder import find_run


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        reports: The run's report, if it is one run.
        comparison: The runs side by side; None for one run.
        files: What was written.
    """

    reports: tuple[RunReport, ...]
    comparison: Comparison | None
    files: tuple[Path, ...]


def draw_reports(runs: Sequence[Path], file: Path | None = None, *, pictures: bool = True) -> Drawn:
    """Regenerate ``report.md`` and ``report.html`` of one run, or compare several, whose own files stay as they are.

    Args:
        runs: Folders of runs, or their ``report.json``.
        file: Where the comparison goes; None: ``comparison.html`` next to the last run's folder.
        pictures: Whether the pages show the flipped images that report.json has pictures of.

    Raises:
        RunError: There is no such run, or its report is not of this schema.
    """
    folders = [find_run(run) for run in runs]
    if len(folders) > 1:
        place = file or folders[-1].parent / "comparison.html"
        return Drawn((), compare_runs(runs, place), (place,))
    (folder,) = folders
    report = read_report(folder / "report.json")
    write_text(folder / "report.md", markdown(report))
    write_text(folder / "report.html", html(report if pictures else without_pictures(report)))
    return Drawn((report,), None, (folder / "report.md", folder / "report.html"))


def compare_runs(runs: Sequence[Path], file: Path | None = None) -> Comparison:
    """Return runs side by side, whose own files stay as they are.

    Args:
        runs: Folders of runs, or their ``report.json``; two or more.
        file: Where the page goes; None: nowhere.

    Raises:
        RunError: There is no such run, or its report is not of this schema.
    """
    named = [(str(run), read_report(find_run(run) / "report.json")) for run in runs]
    if file is not None:
        write_text(file, comparison_html(named))
    return compare(named)
