"""The order and the bounds of the timing loop, on a clock that tests control."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from quantize.measurement.timing.interleave import interleave
from quantize.measurement.timing.plan import Plan

NAMES = ("fp32", "fp32 again", "int8")


def test_every_round_is_a_random_order_and_its_mirror(simulate, plan):
    blocks = simulate(lambda name, now, run: 1e6).blocks(NAMES, plan, rounds=12)
    orders = [tuple(b.contestant for b in blocks if b.round == number) for number in range(12)]
    assert all(order == order[::-1] and Counter(order) == Counter(NAMES * 2) for order in orders)
    assert len(set(orders)) > 3


def test_the_seed_decides_the_order(simulate, plan):
    def order(seed: int) -> list[str]:
        blocks = simulate(lambda *_: 1e6).blocks(NAMES, plan.model_copy(update={"seed": seed}), rounds=8)
        return [block.contestant for block in blocks]

    assert order(1) == order(1) != order(2)


def test_every_round_opens_a_new_session_of_every_contestant(simulate, plan):
    simulation = simulate(lambda *_: 1e6)
    simulation.blocks(NAMES, plan, rounds=4)
    assert Counter(simulation.opened) == dict.fromkeys(NAMES, 4)


def test_warm_up_runs_are_recorded_apart(simulate, plan):
    blocks = simulate(lambda *_: 1e6).blocks(NAMES, plan, rounds=2)
    first = {name: next(b for b in blocks if b.contestant == name) for name in NAMES}
    assert all(len(block.warmup_ns) == plan.warmup + plan.switch_warmup for block in first.values())
    assert all(len(block.warmup_ns) == plan.switch_warmup for block in blocks[3:6])
    assert all(len(block.runs_ns) == 10 for block in blocks)


def test_slow_models_get_shorter_warm_ups_and_blocks_so_that_enough_rounds_fit(simulate, tiny):
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", max_seconds=120)
    blocks, why = interleave(
        {name: (simulation := simulate(lambda *_: 2e9)).session(name) for name in ("fp32",)},
        plan,
        enough=lambda blocks: False,
        clock=simulation.clock,
    )
    assert why == "out of time"
    assert max(block.round for block in blocks) >= 5
    assert {len(block.runs_ns) for block in blocks} == {2}


@pytest.mark.parametrize(("milliseconds", "patience", "rounds"), [(50, 1, 8), (200, 1, 2), (200, 4, 6), (4000, 4, 1)])
def test_a_short_pair_of_slow_models_has_rounds_enough_for_an_interval_within_its_patience(
    simulate, plan, milliseconds, patience, rounds
):
    simulation = simulate(lambda *_: milliseconds * 1e6)
    blocks, _ = interleave(
        {name: simulation.session(name) for name in ("before", "after")},
        plan.model_copy(update={"block_length": None, "max_seconds": 4, "patience": patience}),
        enough=lambda blocks: False,
        clock=simulation.clock,
    )
    assert blocks[-1].round + 1 == rounds


def test_a_round_that_time_cuts_short_leaves_no_blocks(simulate, plan):
    simulation = simulate(lambda *_: 1e6)
    blocks, why = interleave(
        {name: simulation.session(name) for name in ("fp32", "int8")},
        plan.model_copy(update={"max_seconds": 0.33, "block_length": 2}),
        enough=lambda blocks: False,
        clock=simulation.clock,
    )
    assert why == "out of time"
    assert len(blocks) % 4 == 0
    assert simulation.now - 7_000_000_000 < 0.34e9


def test_the_first_round_is_completed_even_if_it_outlasts_the_limit(simulate, plan):
    blocks = simulate(lambda *_: 10e9).blocks(("fp32", "int8"), plan.model_copy(update={"max_seconds": 1}), rounds=99)
    assert [block.round for block in blocks] == [0, 0, 0, 0]


def test_blocks_of_one_half_round_see_the_same_images(plan):
    seen: dict[str, list[int]] = {"a": [], "b": []}
    interleave(
        {name: lambda name=name: seen[name].append for name in seen}, plan, enough=lambda blocks: len(blocks) >= 12
    )
    timed = {name: [i for i in numbers if i >= 10] for name, numbers in seen.items()}
    assert sorted(set(timed["a"])) == sorted(set(timed["b"]))
    assert Counter(timed["a"]) == Counter(timed["b"])


def test_the_garbage_collector_is_paused_while_timing_and_back_afterwards(simulate, plan):
    states: list[bool] = []

    def duration(name: str, now: int, run: int) -> float:
        states.append(gc.isenabled())
        return 1e6

    simulate(duration).blocks(("fp32",), plan, rounds=2)
    assert not any(states)
    assert gc.isenabled()


def test_an_error_in_a_session_is_not_swallowed(plan):
    def broken() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interleave({"fp32": lambda: lambda number: broken()}, plan, enough=lambda blocks: True)
    assert gc.isenabled()


def test_what_is_told_to_be_left_is_never_more_than_the_time_limit_leaves(simulate, tiny):
    plan = Plan(
        models={"fp32": tiny}, baseline="fp32", iteration=200_000, until_precise=False, max_seconds=60, warmup=1
    )
    simulation, told = simulate(lambda *_: 50e6), list[tuple[float, float]]()
    begun = simulation.clock()

    def progress(stage: str, done: int, total: int | None) -> None:
        passed = (simulation.clock() - begun) / 1e9
        assert total is not None
        told.append((passed, passed / done * (total - done)))

    interleave(
        {"fp32": simulation.session("fp32")}, plan, enough=lambda _: False, clock=simulation.clock, progress=progress
    )
    assert len(told) >= 5
    assert all(left <= plan.max_seconds - passed + passed / (at + 1) for at, (passed, left) in enumerate(told))
    assert told[0][1] > 10
