"""Whole runs on the small classifier that the speed criterion decides: it asks for a speed-up beyond any machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.commands.check import check_run
from quantize.errors import ExitCode
from quantize.measurement.machine.cpu_class import CPU_CLASS
from quantize.report.storage import read_report
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured, EndedSearch

Tuned = Callable[..., TuneResult]
NO_MACHINE = 1000.0
"""A speed-up that no machine gives."""


@pytest.fixture
def tuned(
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Tuned:
    """Return a function that runs the recorded candidate under other settings, on CPUs of a class."""

    def make(cpu_class: str = "vnni", **changes: object) -> TuneResult:
        monkeypatch.setenv(CPU_CLASS, cpu_class)
        ended_search()
        settings = {key.replace("__", "."): value for key, value in changes.items()}
        config = configured({"quantization.target": "vnni", **settings})
        return tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))

    return make


def test_a_run_that_is_not_as_fast_as_asked_is_not_met_and_says_that_first(tuned: Tuned) -> None:
    result = tuned(tuning__speed_criterion__min_speedup=NO_MACHINE)
    assert result.exit_code is ExitCode.NOT_MET
    verdict = result.report.verdict
    assert (verdict.status, verdict.accuracy) == ("not met", "met")
    assert verdict.headline.startswith("speed not met")
    assert verdict.text.startswith("The int8 models are NOT as fast as asked")
    assert (result.run / "report.md").read_text("utf-8").startswith("# colours-13.onnx: speed not met")
    assert "<h1>speed not met" in (result.run / "report.html").read_text("utf-8")
    assert read_report(result.run / "report.json").criterion.min_speedup == NO_MACHINE
    assert "min_speedup: 1000.0" in (result.run / "config.yaml").read_text("utf-8")


def test_speed_is_not_judged_if_the_models_are_for_other_cpus(tuned: Tuned) -> None:
    result = tuned("avx2", tuning__speed_criterion__min_speedup=NO_MACHINE)
    assert result.exit_code is ExitCode.DONE
    report = result.report
    assert report.measurement is not None
    assert report.measurement.environment.cpu_class == "avx2"
    assert report.verdict.headline == "met, speed not measured for the target"
    assert "Latency and size (not measured for the target vnni)" in (result.run / "report.md").read_text("utf-8")
    line = next(
        line for line in check_run(result.run, limits_only=True, write=False).lines if line.name == "int8.speedup.fp32"
    )
    assert line.verdict == "not comparable"
    assert "not measured for the target vnni" in (line.note or "")


def test_a_replay_is_judged_by_the_speed_that_the_run_was_asked_for(
    tuned: Tuned, configured: Configured, tmp_path: Path
) -> None:
    first = tuned(tuning__speed_criterion__min_speedup=NO_MACHINE)
    config = configured({"tuning.speed_criterion.min_speedup": NO_MACHINE})
    again = tune(TuneRequest(config, replay=first.run, output_model=tmp_path / "again", workers=1))
    assert again.report.criterion.min_speedup == NO_MACHINE
    assert again.report.verdict.speed is not None
    assert again.report.verdict.speed.status == "not met"
