"""The exit code of a check."""

from __future__ import annotations

import pytest

from quantize.errors import ExitCode
from quantize.gate.result import Verdict
from tests.gate.conftest import result_of


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("pass", "better", "not comparable", "not applicable"), ExitCode.DONE),
        (("pass", "inconclusive"), ExitCode.INCONCLUSIVE),
        (("inconclusive", "fail"), ExitCode.NOT_MET),
        (("pass", "missing"), ExitCode.NOT_MET),
        ((), ExitCode.DONE),
    ],
)
def test_the_worst_line_gives_the_exit_code(verdicts: tuple[Verdict, ...], code: ExitCode) -> None:
    assert result_of(*verdicts).exit_code is code
