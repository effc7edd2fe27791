"""Real sessions, timed in alternation."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from quantize.errors import MeasurementError
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import (
    Measurement,
    control_speedup,
    latency,
    measured_noise_floor,
    speedups,
)
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.summary import summary


@pytest.fixture(scope="module")
def measured(tiny, tiny_images) -> Measurement:
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", iteration=60, precision=1, warmup=2)
    return measure(plan, {"fp32": tiny_images, "int8": tiny_images})


def test_baseline_control_and_candidate_are_measured_in_one_process(measured):
    assert [(c.name, c.role) for c in measured.contestants] == [
        ("fp32", "baseline"),
        ("fp32 again", "control"),
        ("int8", "candidate"),
    ]
    assert len({contestant.sha256 for contestant in measured.contestants}) == 1
    assert all(latency(measured, contestant.name).runs >= 60 for contestant in measured.contestants)
    assert measured.images == 64
    assert measured.stopped == "precise"


def test_raw_nanoseconds_survive_json(measured):
    again = Measurement.model_validate_json(measured.model_dump_json())
    assert again == measured
    assert all(type(ns) is int and ns > 0 for block in again.blocks for ns in block.runs_ns)


def test_the_speed_up_of_the_control_is_apart_from_the_candidates(measured):
    assert [found.candidate for found in speedups(measured)] == ["int8"]
    control = control_speedup(measured)
    assert control is not None
    assert control.candidate == "fp32 again"
    assert measured_noise_floor(measured) is not None


def test_a_model_alone_is_measured_without_comparison(tiny, tiny_images):
    plan = Plan(models={"only": tiny}, iteration=60, precision=1)
    found = measure(plan, {"only": tiny_images[:5] * 3})
    assert speedups(found) == ()
    assert control_speedup(found) is None
    assert found.images == 5
    assert "only" in summary(found)


def test_models_with_unlike_numbers_of_images_are_refused(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32")
    with pytest.raises(MeasurementError, match="different numbers") as caught:
        measure(plan, {"fp32": tiny_images, "int8": tiny_images[:3]})
    assert caught.value.found == "fp32: 64, int8: 3"
    with pytest.raises(MeasurementError):
        measure(plan, {"fp32": [], "int8": []})


def test_the_batch_size_is_the_inputs_own_and_the_same_for_all_models(tiny, tiny_images):
    plan = Plan(models={"a": tiny, "b": tiny}, iteration=60, precision=1)
    pairs = [np.concatenate([image, image]) for image in tiny_images]
    found = measure(plan, {"a": pairs, "b": pairs})
    assert found.plan.batch_size == found.environment.batch_size == latency(found, "a").batch_size == 2
    with pytest.raises(MeasurementError, match="images a run") as caught:
        measure(plan, {"a": tiny_images, "b": pairs})
    assert caught.value.found == "a: 1, b: 2"


def test_a_baseline_that_is_no_model_is_refused(tiny):
    with pytest.raises(ValidationError, match="none of the models"):
        Plan(models={"int8": tiny}, baseline="fp32")


def test_few_iterations_make_short_blocks_so_that_six_rounds_hold_them(tiny):
    assert Plan(models={"a": tiny}, iteration=60).longest_block == 5
    assert Plan(models={"a": tiny}, iteration=100).longest_block == 9
    assert Plan(models={"a": tiny}, iteration=1000).longest_block == 20


def test_figures_that_the_runs_do_not_support_are_none_and_dashes_in_text(measured):
    figure = latency(measured, "int8")
    assert figure.p50_ns is not None
    assert figure.p99_ns is None
    line = next(line for line in summary(measured).splitlines() if line.startswith("int8 "))
    assert " - " in line


def test_latency_of_an_unknown_name_is_a_bug(measured):
    with pytest.raises(KeyError):
        latency(measured, "int4")
