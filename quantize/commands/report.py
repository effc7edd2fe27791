"""Redraw the reports of one run or several from JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.files import write_text
from quantize.report.flipped_images import without_pictures
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.report.trend import Trend, trend_html, trend_of
from quantize.run.folder import find_run


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        reports: The runs' reports, in the order of the arguments.
        trend: The runs in the order of time; None for one run.
        files: What was written.
    """

    reports: tuple[RunReport, ...]
    trend: Trend | None
    files: tuple[Path, ...]


def draw_reports(runs: Sequence[Path], trend_file: Path | None = None, *, pictures: bool = True) -> Drawn:
    """Draw ``report.md`` and ``report.html`` of each run again, and with several runs the trend.

    Args:
        runs: Folders of runs, or their ``report.json``.
        pictures: Whether report.html shows the flipped images that report.json has pictures of.
        trend_file: Where the trend goes; None: ``trend.html`` next to the last run's folder.

    Raises:
        RunError: There is no such run, or its report is not of this schema.
    """
    folders = [find_run(run) for run in runs]
    reports = [read_report(folder / "report.json") for folder in folders]
    files = []
    for folder, report in zip(folders, reports, strict=True):
        write_text(folder / "report.md", markdown(report))
        write_text(folder / "report.html", html(report if pictures else without_pictures(report)))
        files += [folder / "report.md", folder / "report.html"]
    trend = None
    if len(folders) > 1:
        trend = trend_of([(str(run), report) for run, report in zip(runs, reports, strict=True)])
        place = trend_file or folders[-1].parent / "trend.html"
        write_text(place, trend_html(trend))
        files.append(place)
    return Drawn(tuple(reports), trend, tuple(files))
