"""A pytest plugin for checks written in Python: the fixture ``quantize_run``.

    pytest --quantize-run=RUN --quantize-baseline=baseline.json

    def test_int8(quantize_run):
        assert quantize_run.report.model("int8").deciding.evaluation.fidelity.agreement > 0.95
        quantize_run.check().require()

The options can stand in the configuration too, as ``quantize_run``, ``quantize_baseline`` and ``quantize_tolerances``;
paths there are relative to it. Everything heavy is imported when the fixture is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from quantize.gate.result import GateResult
    from quantize.report.schema import RunReport

_OPTIONS = {
    "run": "folder of the run (or its report.json) that quantize_run gives",
    "baseline": "accepted baseline that quantize_run.check() compares with",
    "tolerances": "tolerances of quantize_run.check(), in YAML",
}


@dataclass(frozen=True)
class CheckedRun:
    """A run that a test looks at.

    Attributes:
        path: Its folder, or its ``report.json``.
        baseline: The accepted baseline; None: only limits against fp32 are checked.
        tolerances: Tolerances in YAML; None: those of ``configs/tolerances.yaml``.
    """

    path: Path
    baseline: Path | None = None
    tolerances: Path | None = None

    @cached_property
    def report(self) -> RunReport:
        """The whole report."""
        from quantize.report.storage import read_report
        from quantize.run.folder import find_run

        return read_report(find_run(self.path) / "report.json")

    def check(self, require: tuple[str, ...] = ()) -> CheckOutcome:
        """Return the outcome of ``quantize check``.

        Args:
            require: Figures that have to be compared: where they were not, their lines fail.

        Raises:
            QuantizeError: The run, the baseline or the tolerances cannot be read.
        """
        from quantize.commands.check import check_run

        return CheckOutcome(check_run(self.path, self.baseline, self.tolerances, write=False, require=require))


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of a check."""

    result: GateResult

    def require(self) -> None:
        """Fail the test where a check failed, is missing or inconclusive, with the lines in the message."""
        from quantize.gate.drawings import lines_text

        if self.result.exit_code != 0:
            lines = [line for line in self.result.lines if self.result.failing(line) or line.verdict == "inconclusive"]
            pytest.fail(f"{self.result.headline}\n{lines_text(lines)}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, on the command line and in the configuration."""
    group = parser.getgroup("quantize")
    for name, text in _OPTIONS.items():
        group.addoption(f"--quantize-{name}", metavar="PLACE", default=None, help=text)
        parser.addini(f"quantize_{name}", help=text, type="string", default="")


@pytest.fixture(scope="session")
def quantize_run(request: pytest.FixtureRequest) -> CheckedRun:
    """The run that ``--quantize-run`` (or the setting ``quantize_run``) names."""
    config = request.config

    def place(name: str) -> Path | None:
        given = config.getoption(f"--quantize-{name}")
        if given:
            return config.invocation_params.dir / str(given)
        written = config.getini(f"quantize_{name}")
        return config.rootpath / str(written) if written else None

    run = place("run")
    if run is None:
        pytest.fail("no run is named: pass --quantize-run=RUN, or set quantize_run in the configuration", pytrace=False)
    return CheckedRun(run, place("baseline"), place("tolerances"))
