"""The timing loop: rounds of alternating blocks, with new sessions in every round."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from quantize.measurement.timing.blocks import Block, fitting_block_length, round_order
from quantize.measurement.timing.clock import Clock, SwitchCount, involuntary_switches, monotonic
from quantize.measurement.timing.plan import MINIMUM_ROUNDS, Plan
from quantize.progress import Progress, silent

Run = Callable[[int], object]
"""Runs a model once on the image with that number; the number may exceed the number of images."""
OpenSession = Callable[[], Run]
Stop = Literal["precise", "out of time"]

# A warm-up that takes longer than this has warmed what there is to warm.
_WARMUP_LIMIT_NS = 500_000_000
_SWITCH_LIMIT_NS = 200_000_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector out of timed regions."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class _Loop:
    plan: Plan
    clock: Clock
    switches: SwitchCount
    begin: int
    blocks: list[Block] = field(default_factory=list)
    length: int | None = None

    def seconds(self) -> float:
        return (self.clock() - self.begin) / 1e9

    def timed(self, run: Run, first: int, count: int, limit_ns: int | None = None) -> tuple[list[int], list[int]]:
        """Return the duration of each run, and the indices of those during or just before which a core was lost."""
        durations: list[int] = []
        preempted: list[int] = []
        spent = 0
        switches = self.switches()
        for index in range(count):
            before = self.clock()
            run(first + index)
            durations.append(self.clock() - before)
            switches, last = self.switches(), switches
            if switches != last:
                preempted.append(index)
            spent += durations[-1]
            if limit_ns is not None and spent > limit_ns:
                break
        return durations, preempted


def interleave(
    contestants: Mapping[str, OpenSession],
    plan: Plan,
    *,
    enough: Callable[[Sequence[Block]], bool],
    clock: Clock = monotonic,
    switches: SwitchCount = involuntary_switches,
    progress: Progress = silent,
) -> tuple[tuple[Block, ...], Stop]:
    """Time all contestants in rounds of alternating blocks until the figures are good enough or time runs out.

    In every round each contestant opens a new session, in the round's random order: where a session's memory
    is allocated can move a model's time by a per cent, and would otherwise move a whole measurement. Then come the
    blocks (see ``round_order``), each with its own warm-up. All contestants of a half round see the same images.
    Python's garbage collector is paused. Between two readings of the clock there is one call of ``Run`` and nothing
    else.

    Args:
        contestants: What opens each one's session.
        plan: Warm-up, block length, seed and time limit.
        enough: Whether the complete rounds so far suffice.
        clock: Source of time.
        switches: Counts interruptions by the kernel; read outside the timed region.
        progress: Called with the number of rounds done, and how many there will be at most where that is known.

    Returns:
        The blocks of all complete rounds, and why the measurement ended. The first round is always completed.
    """
    generator = np.random.default_rng(plan.seed)
    loop = _Loop(plan, clock, switches, clock())
    done = 0
    while True:
        order = round_order(tuple(contestants), generator)
        with collector_paused():
            complete = _one_round(loop, done, order, contestants)
        if not complete:
            return tuple(loop.blocks), "out of time"
        done += 1
        progress("benchmark", done, _rounds_at_most(loop, done))
        if enough(loop.blocks):
            return tuple(loop.blocks), "precise"
        if loop.seconds() >= plan.seconds_at(done):
            return tuple(loop.blocks), "out of time"


def _rounds_at_most(loop: _Loop, done: int) -> int | None:
    """Return the rounds that give as many runs as are asked for, or that fit into the time if those are fewer.

    None where it goes on until it is precise.
    """
    plan = loop.plan
    if plan.until_precise or loop.length is None:
        return None
    passed = loop.seconds()
    within_time = done + max(math.ceil(done * (plan.max_seconds - passed) / max(passed, 1e-9)), 0)
    return min(math.ceil(plan.iteration / (2 * loop.length)), within_time)


def _at_most(limit_ns: int, plan: Plan, order: tuple[str, ...]) -> int:
    """Return how long one warm-up may take: all of a kind, in as many rounds as are needed, a quarter of the time."""
    return min(limit_ns, int(0.25e9 * plan.max_seconds / (MINIMUM_ROUNDS * len(order))))


def _one_round(loop: _Loop, number: int, order: tuple[str, ...], contestants: Mapping[str, OpenSession]) -> bool:
    """Time one round; return False, and keep nothing of it, if time runs out before its end."""
    plan, runs, opened = loop.plan, {}, {}
    for name in order[: len(contestants)]:
        runs[name] = contestants[name]()
        opened[name], _ = loop.timed(runs[name], 0, max(1, plan.warmup), _at_most(_WARMUP_LIMIT_NS, plan, order))
    if loop.length is None:
        # Half of the time goes to warm-ups and sessions at worst.
        last = [float(np.median(durations[-3:])) for durations in opened.values()]
        budget = 0.5e9 * plan.max_seconds
        loop.length = fitting_block_length(plan.longest_block, last, budget_ns=budget, rounds=MINIMUM_ROUNDS)
    blocks = []
    for position, name in enumerate(order):
        if number > 0 and loop.seconds() >= plan.seconds_at(number):
            return False
        first = (2 * number + (position >= len(contestants))) * loop.length
        start = loop.clock() - loop.begin
        warmup, _ = loop.timed(runs[name], first, plan.switch_warmup, _at_most(_SWITCH_LIMIT_NS, plan, order))
        durations, preempted = loop.timed(runs[name], first, loop.length)
        blocks.append(
            Block(
                contestant=name,
                round=number,
                position=position,
                start_ns=start,
                warmup_ns=(*opened.pop(name, ()), *warmup),
                runs_ns=tuple(durations),
                preempted=tuple(preempted),
            )
        )
    loop.blocks += blocks
    return True
