from __future__ import annotations

from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.errors import ExitCode
from quantize.run.request import TuneResult


def test_a_package_is_written_and_found_intact(
    ort_run: TuneResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", str(ort_run.run), "--output", str(tmp_path)]) is ExitCode.DONE
    first = capsys.readouterr().out.splitlines()[0].split(" (")[0]
    assert main(["package", "--check", first]) is ExitCode.DONE
    out = capsys.readouterr().out
    assert out.startswith("colours-13-int8: intact\n")
    assert "where no sum saturates" in out


@pytest.mark.parametrize("words", [[], ["run", "--check", "file.tar.gz"]])
def test_either_a_run_or_a_package_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", *words]) is ExitCode.USER
    assert "RUN, or --check FILE" in capsys.readouterr().err


def test_a_file_that_is_no_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"not an archive")
    assert main(["package", "--check", str(tmp_path / "x.tar.gz")]) is ExitCode.USER
    assert "not a whole .tar.gz file" in capsys.readouterr().err
