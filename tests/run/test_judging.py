"""The verdict on speed, of a recorded measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.criterion import SpeedCriterion
from quantize.measurement.timing.measurement import Measurement, measured_noise_floor, speedups
from quantize.report.models import Role
from quantize.report.storage import read_report
from quantize.run.judging import speed_verdict

NAMES: dict[Role, str] = {"int8": "int8", "qdq": "qdq"}


@pytest.fixture
def measurement() -> Measurement:
    """A recorded measurement of SqueezeNet on a CPU with VNNI: about 2.9x."""
    report = read_report(Path(__file__).resolve().parents[1] / "report" / "fixtures" / "report-v1.json")
    assert report.measurement is not None
    environment = report.measurement.environment.model_copy(update={"cpu_class": "vnni"})
    return report.measurement.model_copy(update={"environment": environment})


def slowed(measurement: Measurement, name: str, factor: int) -> Measurement:
    blocks = tuple(
        block.model_copy(update={"runs_ns": tuple(factor * run for run in block.runs_ns)})
        if block.contestant == name
        else block
        for block in measurement.blocks
    )
    return measurement.model_copy(update={"blocks": blocks})


def test_each_file_is_judged_by_its_interval_and_the_noise(measurement: Measurement) -> None:
    verdict = speed_verdict(measurement, NAMES, SpeedCriterion(min_speedup=1.0), "vnni", asked=True)
    assert (verdict.status, verdict.noise_floor) == ("met", measured_noise_floor(measurement))
    gains = {gain.candidate: gain for gain in speedups(measurement)}
    for file in verdict.files:
        gain = gains[file.role]
        assert (file.ratio, file.low, file.high) == (gain.ratio, gain.low, gain.high)
        assert (file.outcome, file.slower) == ("met", False)


@pytest.mark.parametrize("slow", ["int8", "qdq"])
def test_one_file_that_is_slower_is_enough(measurement: Measurement, slow: str) -> None:
    verdict = speed_verdict(slowed(measurement, slow, 5), NAMES, SpeedCriterion(min_speedup=1.0), "vnni", asked=True)
    assert verdict.status == "not met"
    assert [file.role for file in verdict.slower] == [slow]


def test_a_low_bar_is_met_by_what_is_slower_and_it_is_still_called_slower(measurement: Measurement) -> None:
    verdict = speed_verdict(slowed(measurement, "int8", 5), NAMES, SpeedCriterion(min_speedup=0.5), "vnni", asked=True)
    assert verdict.status == "met"
    assert [file.role for file in verdict.slower] == ["int8"]


@pytest.mark.parametrize(("asked", "least"), [(False, 1.0), (True, 0.0)])
def test_without_a_criterion_figures_are_reported_and_not_judged(
    measurement: Measurement, asked: bool, least: float
) -> None:
    verdict = speed_verdict(measurement, NAMES, SpeedCriterion(min_speedup=least), "vnni", asked=asked)
    assert verdict.status == "not asked"
    assert [file.outcome for file in verdict.files] == [None, None]


def test_on_cpus_that_the_models_are_not_for_speed_is_not_judged(measurement: Measurement) -> None:
    slow = slowed(measurement, "int8", 5)
    verdict = speed_verdict(slow, NAMES, SpeedCriterion(min_speedup=1.0), "avx2", asked=True)
    assert (verdict.status, verdict.outcome, verdict.slower) == ("not measured for the target", None, ())
    assert (verdict.measured_on, verdict.target) == ("vnni", "avx2")


def test_a_file_without_a_figure_is_not_fast_enough(measurement: Measurement) -> None:
    names: dict[Role, str] = {"int8": "int8", "qdq": "never timed"}
    verdict = speed_verdict(measurement, names, SpeedCriterion(min_speedup=1.0), "vnni", asked=True)
    assert verdict.status == "inconclusive"
