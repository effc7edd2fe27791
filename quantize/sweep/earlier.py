"""What an earlier sweep left of a run: all of it, a part, or something else that is in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from quantize.errors import RunError
from quantize.provenance import sha256_bytes, sha256_file
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import JOURNAL
from quantize.run.quick import bounded
from quantize.sweep.matrix import Entry

Earlier = Literal["nothing", "finished", "begun", "other", "overwrite"]
"""``finished``: the same run; ``begun``: a journal to go on with; ``other``: of other settings or of another model, and
left alone; ``overwrite``: whatever is there may go."""

Identity = tuple[int, str]


def identity(path: Path) -> Identity | None:
    """Return what tells a file from another one in its place: inode and first line; None: no file."""
    try:
        status = path.stat()
        with path.open("rb") as stream:
            return status.st_ino, sha256_bytes(stream.readline())
    except OSError:
        return None


def earlier_of(entry: Entry, *, overwrite: bool) -> Earlier:
    """Return what lies in a run's folder."""
    journal, report = entry.folder / JOURNAL, entry.folder / "report.json"
    if not report.is_file():
        if not journal.is_file():
            return "nothing"
        return "overwrite" if overwrite else "begun"
    if overwrite:
        return "overwrite"
    try:
        return "finished" if is_of(read_report(report), entry) else "other"
    except RunError:
        return "other"


def is_of(report: RunReport, entry: Entry) -> bool:
    """Return whether a report is of the run that an entry asks for: same model, settings and places of images."""
    asked, had = _settings(bounded(entry.config).model_dump(mode="json")), _settings(dict(report.config))
    target = asked["quantization"]["target"]
    if target == "auto":
        target = report.chosen.target if report.provenance.cpu_class == report.chosen.target else None
    asked["quantization"]["target"] = target
    return asked == had and entry.model.is_file() and sha256_file(entry.model) == report.source.sha256


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, dict) else value for name, value in config.items() if name != "notes"
    }
