from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quantize.commands.report import draw_reports
from quantize.errors import RunError


def test_the_pages_of_a_run_are_drawn_again(run: Path) -> None:
    before = {name: (run / name).read_text() for name in ("report.md", "report.html")}
    for name in before:
        (run / name).unlink()
    drawn = draw_reports([run])
    assert drawn.files == (run / "report.md", run / "report.html")
    assert drawn.comparison is None
    assert {name: (run / name).read_text() for name in before} == before


def test_several_runs_are_compared_in_a_place_of_its_own(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "runs" / "other"))
    for folder in (run, other):
        (folder / "report.html").write_text("as it was")
    drawn = draw_reports([run, other / "report.json"])
    assert drawn.files == (tmp_path / "runs" / "comparison.html",)
    assert "<html" in drawn.files[-1].read_text()
    assert all((folder / "report.html").read_text() == "as it was" for folder in (run, other))
    named = draw_reports([run, other], tmp_path / "mine.html")
    assert named.files[-1] == tmp_path / "mine.html"


def test_nothing_is_drawn_if_one_of_the_folders_is_not_a_run(run: Path, tmp_path: Path) -> None:
    (run / "report.md").unlink()
    with pytest.raises(RunError, match="not a run"):
        draw_reports([run, tmp_path / "nowhere"])
    assert not (run / "report.md").exists()
