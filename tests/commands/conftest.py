from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quantize.run.request import TuneResult


@pytest.fixture
def run(ort_run: TuneResult, tmp_path: Path) -> Path:
    """Return a copy of the finished run that a test may change."""
    return Path(shutil.copytree(ort_run.run, tmp_path / "run"))
