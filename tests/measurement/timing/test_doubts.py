"""Whatever makes a figure doubtful is named, with advice, and nothing else is."""

from __future__ import annotations

import pytest

from quantize.measurement.timing.blocks import Block
from quantize.measurement.timing.doubts import doubts


def names(measurement) -> list[str]:
    doubted = doubts(measurement)
    assert all(doubt.text and doubt.advice for doubt in doubted)
    return [doubt.name for doubt in doubted]


def test_a_quiet_measurement_has_no_doubts(recorded):
    assert names(recorded) == []


@pytest.mark.parametrize(
    ("part", "values", "name"),
    [
        ("plan", {"asked_threads": 4}, "too few cores"),
        ("environment", {"cpu_quota": 0.5}, "too few cores"),
        ("environment", {"governor": "powersave"}, "governor"),
        ("environment", {"isa_flags": ("avx2",)}, "no int8 instructions"),
        ("environment", {"onnxruntime_build": "build type=Debug"}, "debug build"),
        ("before", {"load_average": 3.0}, "load"),
        ("after", {"steal_seconds": 5.0}, "steal"),
        ("after", {"throttled_periods": 7}, "throttled"),
        ("plan", {"precision": 0.001}, "imprecise"),
    ],
)
def test_each_cause_is_named_alone(changed, part, values, name):
    assert names(changed(**{part: values})) == [name]


def test_more_threads_than_cores_are_a_doubt(changed):
    measurement = changed(environment={"threads": 3}, before={"load_average": 0.0})
    assert names(measurement) == ["too few cores"]
    assert "3 threads share 2 cores" in doubts(measurement)[0].text


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("environment", {"governor": "performance"}),
        ("environment", {"isa_flags": None}),
        ("environment", {"isa_flags": ("asimd", "asimddp")}),
        ("before", {"load_average": None}),
        ("before", {"steal_seconds": None}),
        ("before", {"throttled_periods": None}),
    ],
)
def test_what_is_fine_or_unknown_is_not_a_doubt(changed, part, values):
    assert names(changed(**{part: values})) == []


def test_few_images_are_a_doubt(recorded):
    assert names(recorded.model_copy(update={"images": 63})) == ["few images"]


def test_a_control_that_differs_from_the_baseline_is_a_doubt(recorded):
    def slower(block: Block) -> Block:
        factor = 1.05 if block.contestant == "fp32 again" else 1
        return block.model_copy(update={"runs_ns": tuple(int(ns * factor) for ns in block.runs_ns)})

    assert names(recorded.model_copy(update={"blocks": tuple(map(slower, recorded.blocks))})) == ["control"]


def test_a_wide_spread_is_a_doubt_that_names_the_model(recorded):
    def swinging(block: Block) -> Block:
        factor = 1.5 if block.round % 2 else 1
        return block.model_copy(update={"runs_ns": tuple(int(ns * factor) for ns in block.runs_ns)})

    doubted = doubts(recorded.model_copy(update={"blocks": tuple(map(swinging, recorded.blocks))}))
    assert [doubt.name for doubt in doubted] == ["spread"]
    assert "(fp32)" in doubted[0].text


def test_interrupted_runs_are_a_doubt(recorded):
    blocks = tuple(block.model_copy(update={"preempted": (0, 1)}) for block in recorded.blocks)
    assert names(recorded.model_copy(update={"blocks": blocks})) == ["preempted"]


def test_too_few_rounds_are_a_doubt(recorded):
    blocks = tuple(block for block in recorded.blocks if block.round < 3)
    assert names(recorded.model_copy(update={"blocks": blocks})) == ["too few rounds"]


@pytest.mark.parametrize(
    ("plan", "advice"),
    [
        ({"until_precise": False, "iteration": 1}, "raise iteration, "),
        ({"until_precise": False, "iteration": 1_000_000}, "raise max_seconds, "),
        ({"until_precise": True, "iteration": 1}, "raise max_seconds, "),
    ],
)
def test_what_is_imprecise_is_told_to_raise_what_ended_it(changed, plan, advice):
    (doubt,) = doubts(changed(plan={"precision": 0.001, **plan}))
    assert doubt.advice.startswith(advice)
