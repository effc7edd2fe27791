"""A run becomes what later runs are held against."""

from __future__ import annotations

from pathlib import Path

from quantize.gate.baseline import Baseline, accepted, write_baseline
from quantize.gate.document import read_document
from quantize.run.folder import find_run


def accept_run(run: Path, output: Path) -> Baseline:
    """Write a run as a baseline, over an earlier one: it is under version control, and its diff is what is reviewed.

    Args:
        run: The run's folder, or its ``report.json``.
        output: The baseline's file.

    Raises:
        RunError: There is no such run, or its report is not whole.
    """
    report = find_run(run) / "report.json"
    baseline = accepted(read_document(report), where=str(report))
    write_baseline(baseline, output)
    return baseline
