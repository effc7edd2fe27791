from __future__ import annotations

from pathlib import Path

import pytest

from quantize.report.schema import RunReport
from quantize.report.storage import read_report

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def report() -> RunReport:
    """A recorded run on the 500 images, its measurement shortened."""
    return read_report(FIXTURES / "report-v1.json")
