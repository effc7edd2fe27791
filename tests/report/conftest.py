from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.report.schema import RunReport
from quantize.report.storage import read_report

FIXTURES = Path(__file__).parent / "fixtures"
_GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, str], None]


@pytest.fixture(scope="session")
def report() -> RunReport:
    """A recorded run on the 500 images, its measurement shortened."""
    return read_report(FIXTURES / "report-v1.json")


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Return what compares a text with a golden file; QUANTIZE_UPDATE_GOLDEN=1 rewrites the file."""

    def compare(name: str, text: str) -> None:
        drawn, path = text.rstrip("\n") + "\n", _GOLDEN / name
        if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
            path.write_text(drawn, encoding="utf-8")
        assert drawn == path.read_text(encoding="utf-8")

    return compare
