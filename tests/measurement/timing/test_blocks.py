"""Paired values of blocks, under disturbances of the machine while they run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from quantize.measurement.timing.blocks import Block, paired_log_ratios
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.speedup import (
    speedup,
)

TIMES = {"fp32": 3.04e6, "int8": 1.46e6}


TRUE = TIMES["fp32"] / TIMES["int8"]


SECOND = 1e9


def noise(run: int) -> float:
    """Return a reproducible factor around 1, one per cent wide."""
    return 1 + 0.01 * math.sin(run * 12.9898)


def slowing_by_half(now: float) -> float:
    return 1 + 0.5 * now / (5 * SECOND)


def swinging(now: float) -> float:
    return 1 + 0.2 * math.sin(2 * math.pi * now / (1.7 * SECOND))


def twice_as_slow_after_a_while(now: float) -> float:
    return 1.0 if now < 1.234 * SECOND else 2.0


@pytest.mark.parametrize("factor", [slowing_by_half, swinging, twice_as_slow_after_a_while])
def test_what_moves_the_machine_does_not_move_the_estimate(simulate, plan, factor):
    estimate = simulate(lambda name, now, run: TIMES[name] * factor(now) * noise(run)).speedup(plan, rounds=25)
    assert estimate.ratio == pytest.approx(TRUE, rel=0.01)
    assert estimate.low <= TRUE * 1.005
    assert estimate.high >= TRUE * 0.995


def test_the_same_drift_moves_a_comparison_of_one_after_the_other(simulate, plan):
    simulation = simulate(lambda name, now, run: TIMES[name] * slowing_by_half(now))
    fp32, int8 = simulation.blocks(("fp32",), plan, rounds=25), simulation.blocks(("int8",), plan, rounds=25)
    ratio = np.median([b.median_ns for b in fp32]) / np.median([b.median_ns for b in int8])
    assert abs(ratio / TRUE - 1) > 0.05


def test_outliers_do_not_move_the_estimate(simulate, plan):
    def duration(name: str, now: int, run: int) -> float:
        return TIMES[name] * noise(run) * (20 if run % 7 == 0 else 1) + (50e6 if run % 31 == 0 else 0)

    assert simulate(duration).speedup(plan, rounds=25).ratio == pytest.approx(TRUE, rel=0.01)


def test_slow_first_runs_after_a_switch_do_not_move_the_estimate(simulate, plan):
    last = {"name": "", "since": 0}

    def duration(name: str, now: int, run: int) -> float:
        last["since"] = last["since"] + 1 if last["name"] == name else 0
        last["name"] = name
        return TIMES[name] * (1 + 0.5 * 0.3 ** last["since"] * (2 if name == "int8" else 1))

    assert simulate(duration).speedup(plan, rounds=25).ratio == pytest.approx(TRUE, rel=0.01)


def test_runs_that_another_process_interrupted_do_not_move_the_estimate(simulate, plan):
    """The longer model is interrupted in most of its runs, and the run after each finds cold caches."""
    generator = np.random.default_rng(0)
    hit: dict[int, bool] = {}

    def interrupted(name: str, run: int) -> bool:
        hit[run] = bool(generator.random() < TIMES[name] / 5e6)
        return hit[run]

    def duration(name: str, now: int, run: int) -> float:
        return TIMES[name] * noise(run) + (4e6 if hit[run] else 0) + (0.3e6 if hit.get(run - 1) else 0)

    longer = plan.model_copy(update={"block_length": 20})
    simulation = simulate(duration, interrupts=interrupted)
    assert simulation.speedup(longer, rounds=25).ratio == pytest.approx(TRUE, rel=0.01)


def replayed(recorded: Measurement):
    """Return durations that repeat a real measurement's undisturbed rounds, run by run."""
    runs = {name: [ns for b in recorded.blocks if b.contestant == name for ns in b.runs_ns] for name in TIMES}
    counts = dict.fromkeys(runs, 0)

    def duration(name: str) -> float:
        counts[name] += 1
        return runs[name][counts[name] % len(runs[name])]

    return duration


@pytest.mark.parametrize("factor", [slowing_by_half, swinging, twice_as_slow_after_a_while])
def test_recorded_samples_with_a_disturbance_give_the_recorded_speed_up(simulate, plan, recorded, factor):
    true = speedup(paired_log_ratios(recorded.blocks, "fp32", "int8"), baseline="fp32", candidate="int8")
    assert true is not None
    sample = replayed(recorded)
    estimate = simulate(lambda name, now, run: sample(name) * factor(now)).speedup(plan, rounds=25)
    assert estimate.ratio == pytest.approx(true.ratio, rel=0.01)


def test_recorded_samples_with_outliers_give_the_recorded_speed_up(simulate, plan, recorded):
    true = speedup(paired_log_ratios(recorded.blocks, "fp32", "int8"), baseline="fp32", candidate="int8")
    assert true is not None
    sample = replayed(recorded)
    estimate = simulate(lambda name, now, run: sample(name) * (10 if run % 9 == 0 else 1)).speedup(plan, rounds=25)
    assert estimate.ratio == pytest.approx(true.ratio, rel=0.01)


def block(name: str, number: int, position: int, *runs: int, preempted: tuple[int, ...] = ()) -> Block:
    return Block(
        contestant=name, round=number, position=position, start_ns=0, warmup_ns=(), runs_ns=runs, preempted=preempted
    )


def test_a_round_gives_the_mean_log_ratio_of_its_mirrored_blocks():
    blocks = [block("a", 0, 0, 100), block("b", 0, 1, 55), block("b", 0, 2, 60), block("a", 0, 3, 121)]
    assert paired_log_ratios(blocks, "a", "b") == pytest.approx([math.log(math.sqrt(100 * 121) / math.sqrt(55 * 60))])


def test_interrupted_runs_and_those_after_them_count_only_if_there_are_no_others():
    assert block("a", 0, 0, 10, 11, 12, 90, 99, 50, preempted=(3, 4)).median_ns == 11
    assert block("a", 0, 0, 90, 13, 99, 15, preempted=(0, 2)).median_ns == 14
    assert block("a", 0, 0, 10, 90, 99, preempted=(0, 1, 2)).median_ns == 90


def test_a_block_without_runs_is_no_block() -> None:
    block = Block(contestant="int8", round=0, position=0, start_ns=0, warmup_ns=(), runs_ns=(1,))
    with pytest.raises(ValidationError, match="runs_ns"):
        Block.model_validate({**block.model_dump(), "runs_ns": ()})
