"""Models measured against each other, and when a measurement has enough rounds."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.errors import MeasurementError
from quantize.measurement.timing.blocks import paired_log_ratios
from quantize.measurement.timing.measure import measure, precise_enough
from quantize.measurement.timing.measurement import (
    Measurement,
    control_speedup,
    latency,
    speedups,
)
from quantize.measurement.timing.plan import MINIMUM_ROUNDS, Plan
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


def test_a_model_alone_is_measured_without_comparison(tiny, tiny_images):
    plan = Plan(models={"only": tiny}, iteration=60, precision=1)
    measurement = measure(plan, {"only": tiny_images[:5] * 3})
    assert speedups(measurement) == ()
    assert control_speedup(measurement) is None
    assert measurement.images == 5
    assert "only" in summary(measurement)


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
    measurement = measure(plan, {"a": pairs, "b": pairs})
    assert (
        measurement.plan.batch_size == measurement.environment.batch_size == latency(measurement, "a").batch_size == 2
    )
    with pytest.raises(MeasurementError, match="images a run") as caught:
        measure(plan, {"a": tiny_images, "b": pairs})
    assert caught.value.found == "a: 1, b: 2"


@pytest.fixture
def contestants(contestant):
    return (contestant("fp32", "baseline"), contestant("fp32 again", "control"), contestant("int8", "candidate"))


def simulated(simulate, plan, *, noise: float, rounds: int):
    times = {"fp32": 3e6, "fp32 again": 3e6, "int8": 1.5e6}
    shift = {"round": 0.0}

    def duration(name: str, now: int, run: int) -> float:
        # Noise that lasts a block, on one contestant only: what pairing cannot cancel.
        shift["round"] = noise * ((run // 28) * 7919 % 13 / 6 - 1)
        return times[name] * (1 + (shift["round"] if name == "int8" else 0))

    return simulate(duration).blocks(tuple(times), plan, rounds=rounds)


def test_it_does_not_end_before_every_model_has_its_iterations(simulate, plan, contestants):
    asked = plan.model_copy(update={"iteration": 200})
    blocks = simulated(simulate, asked, noise=0.0, rounds=10)
    assert precise_enough(blocks, contestants, asked)
    assert not precise_enough(blocks[:-6], contestants, asked)


def test_it_does_not_end_with_fewer_than_six_rounds(simulate, plan, contestants):
    asked = plan.model_copy(update={"iteration": 1})
    blocks = simulated(simulate, asked, noise=0.0, rounds=6)
    assert precise_enough(blocks, contestants, asked)
    assert not precise_enough(blocks[:-6], contestants, asked)


def test_it_goes_on_while_the_interval_is_wider_than_asked(simulate, plan, contestants):
    blocks = simulated(simulate, plan, noise=0.1, rounds=12)
    assert not precise_enough(blocks, contestants, plan.model_copy(update={"iteration": 100, "precision": 0.02}))
    assert precise_enough(blocks, contestants, plan.model_copy(update={"iteration": 100, "precision": 0.5}))


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_precision_does_not_prolong_it_beyond_the_runs_asked_for(simulate, plan, contestants, noise):
    asked = plan.model_copy(update={"iteration": 200, "precision": 0.001, "until_precise": False})
    blocks = simulated(simulate, asked, noise=noise, rounds=10)
    assert precise_enough(blocks, contestants, asked)
    assert not precise_enough(blocks[:-6], contestants, asked)


@pytest.mark.parametrize(("precision", "ends"), [(0.02, True), (0.0001, False)])
def test_precision_ends_it_early_once_there_are_runs_for_p99(simulate, plan, contestants, precision, ends):
    asked = plan.model_copy(update={"iteration": 10_000, "precision": precision, "until_precise": False})
    blocks = simulated(simulate, asked, noise=0.01, rounds=50)
    assert precise_enough(blocks, contestants, asked) is ends
    assert not precise_enough(blocks[:-6], contestants, asked)


@pytest.mark.parametrize("runs", [12, 30, 100, 1000])
def test_as_few_runs_as_are_asked_for_give_an_interval(tiny, runs):
    plan = Plan(models={"only": tiny}, iteration=runs, until_precise=False)
    assert 2 * MINIMUM_ROUNDS * plan.longest_block <= runs or plan.longest_block == 20


def test_a_wide_interval_suffices_once_it_is_told_apart_from_a_speedup(simulate, plan, contestants):
    blocks = simulated(simulate, plan, noise=0.1, rounds=12)
    asked = plan.model_copy(update={"iteration": 100, "precision": 0.001})
    (gain, *_) = [float(np.exp(np.median(paired_log_ratios(blocks, "fp32", name)))) for name in ("int8",)]
    assert not precise_enough(blocks, contestants, asked, beside=gain)
    assert precise_enough(blocks, contestants, asked, beside=gain / 2)
    assert precise_enough(blocks, contestants, asked, beside=gain * 2)


def test_a_model_alone_is_measured_until_its_own_time_is_precise(simulate, tiny, contestant):
    plan = Plan(models={"only": tiny}, iteration=100, block_length=10, max_seconds=1e9)
    alone = (contestant("only", "alone"),)
    steady = simulate(lambda *_: 1e6).blocks(("only",), plan, rounds=8)
    rising = simulate(lambda name, now, run: 1e6 + now / 100).blocks(("only",), plan, rounds=8)
    assert precise_enough(steady, alone, plan)
    assert not precise_enough(rising, alone, plan)
