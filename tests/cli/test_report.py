from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.errors import ExitCode
from quantize.run.request import TuneResult


@pytest.mark.parametrize("kind", ["report", "benchmark", "baseline", "check", "machine"])
def test_each_kind_of_document_has_a_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) is ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["properties"]


def test_without_a_kind_the_schema_is_the_reports(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema"])
    without = capsys.readouterr().out
    main(["schema", "report"])
    assert capsys.readouterr().out == without


def test_the_pages_that_were_drawn_are_listed(
    ort_run: TuneResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(ort_run.run, tmp_path / "run"))
    assert main(["report", str(run)]) is ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "written",
        f"  {run / 'report.md'}",
        f"  {run / 'report.html'}",
    ]
