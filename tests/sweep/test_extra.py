from __future__ import annotations

from pathlib import Path

import pytest

from quantize.cli.main import main
from quantize.sweep import extra


def test_without_dask_one_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda _: None)
    assert main(["sweep", str(tmp_path / "sweep.yaml")]) == 2
    told = capsys.readouterr().err
    assert "a sweep runs on Dask, which is not installed" in told
    assert "pip install 'quantize[sweep]'" in told
