"""A finished measurement and its figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import (
    Measurement,
    control_speedup,
    latency,
    measured_noise_floor,
    percentile_ns,
    runs_needed,
    speedups,
)
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.summary import summary


@pytest.fixture(scope="module")
def measured(tiny, tiny_images) -> Measurement:
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", iteration=60, precision=1, warmup=2)
    return measure(plan, {"fp32": tiny_images, "int8": tiny_images})


def test_raw_nanoseconds_survive_json(measured):
    again = Measurement.model_validate_json(measured.model_dump_json())
    assert again == measured
    assert all(type(ns) is int and ns > 0 for block in again.blocks for ns in block.runs_ns)


def test_the_speed_up_of_the_control_is_apart_from_the_candidates(measured):
    assert [gain.candidate for gain in speedups(measured)] == ["int8"]
    control = control_speedup(measured)
    assert control is not None
    assert control.candidate == "fp32 again"
    assert measured_noise_floor(measured) is not None


def test_figures_that_the_runs_do_not_support_are_none_and_dashes_in_text(measured):
    figure = latency(measured, "int8")
    assert figure.p50_ns is not None
    assert figure.p99_ns is None
    line = next(line for line in summary(measured).splitlines() if line.startswith("int8 "))
    assert " - " in line


def test_latency_of_an_unknown_name_is_a_bug(measured):
    with pytest.raises(KeyError):
        latency(measured, "int4")


@pytest.mark.parametrize(("quantile", "runs"), [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10000)])
def test_ten_runs_must_lie_beyond_a_percentile(quantile, runs):
    assert runs_needed(quantile) == runs
    assert percentile_ns(range(runs - 1), quantile) is None
    assert percentile_ns(range(runs), quantile) == round(quantile * runs) - 1


@given(st.lists(st.integers(1, 10**9), min_size=100, max_size=300), st.sampled_from([0.5, 0.75, 0.9]))
def test_a_percentile_is_a_measured_time_with_that_share_at_or_below_it(runs, quantile):
    value = percentile_ns(runs, quantile)
    assert value in runs
    assert np.mean(np.array(runs) <= value) >= quantile
    assert np.mean(np.array(runs) < value) < quantile
