"""When a run measures its files on all cores too, on what, and within which time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quantize.config import RunConfig
from quantize.measurement.timing.measure import Inputs
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.plan import Plan
from quantize.run import all_cores
from quantize.run.all_cores import other_cores, seconds_on_all_cores
from quantize.run.plan import ALL_CORES, planned
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured, EndedSearch
from tests.run.test_outlook import WORK


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process have four physical cores."""
    monkeypatch.setattr(all_cores, "usable_physical_cores", lambda: 4)


def with_threads(threads: int, **tuning: bool) -> RunConfig:
    return RunConfig.model_validate(
        {"evaluation": {"performance": {"configs": {"cores_per_instance": threads}}}, "tuning": tuning}
    )


@pytest.mark.usefixtures("four_cores")
def test_fewer_or_more_threads_than_cores_are_measured_on_all_cores_too() -> None:
    assert [other_cores(with_threads(threads)) for threads in (1, 2, 4, 8)] == [4, 4, None, 4]


@pytest.mark.usefixtures("four_cores")
def test_a_quick_run_measures_nothing_more() -> None:
    assert other_cores(with_threads(1, quick=True)) is None


def test_one_core_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_cores, "usable_physical_cores", lambda: 1)
    assert other_cores(with_threads(1)) is None
    assert seconds_on_all_cores(with_threads(1)) == 0


@pytest.mark.usefixtures("four_cores")
def test_it_takes_a_few_of_the_benchmarks_seconds() -> None:
    config = with_threads(1)
    assert 0 < seconds_on_all_cores(config) <= 0.1 * config.evaluation.performance.max_seconds
    performance = config.evaluation.performance.model_copy(update={"max_seconds": 5.0})
    short = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"performance": performance})})
    assert seconds_on_all_cores(short) == 1.0


def test_the_plan_of_a_run_has_the_stage_where_there_is_one() -> None:
    assert ALL_CORES not in planned(WORK).in_words()
    there = planned(replace(WORK, most_all_cores=10.0)).in_words()
    assert 0 < there[ALL_CORES] <= 10
    assert planned(replace(WORK, most_all_cores=0.5)).in_words()[ALL_CORES] == 0.5


@pytest.mark.usefixtures("four_cores")
def test_a_run_reports_both_files_on_all_cores(
    ended_search: EndedSearch,
    colour_run: TuneResult,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plans: list[tuple[Plan, float | None]] = []
    recorded = colour_run.report.measurement

    def measured(plan: Plan, inputs: Inputs, *, beside: float | None, progress: object) -> Measurement:
        assert recorded is not None
        assert set(inputs) == set(plan.models)
        plans.append((plan, beside))
        return recorded.model_copy(update={"plan": plan})

    monkeypatch.setattr(all_cores, "measure", measured)
    ended_search()
    request = TuneRequest(configured(), input_model=Path(colour_run.report.source.path), output_model=tmp_path / "out")
    report = tune(replace(request, workers=1)).report
    ((plan, beside),) = plans
    assert (list(plan.models), plan.baseline, plan.threads, beside) == (["fp32", "int8", "qdq"], "fp32", 4, 1.0)
    assert plan.control
    assert plan.until_precise
    section = report.all_cores
    assert section is not None
    assert (section.cores, [file.role for file in section.files]) == (4, ["int8", "qdq"])
    assert ALL_CORES in [stage.name for stage in report.stages]
    assert report.measurement is not None
    assert report.measurement.plan.max_seconds + plan.max_seconds == pytest.approx(1.0)
