"""Blocks of runs, their order, and the paired values that they yield."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field


class Contestant(BaseModel):
    """A model that takes part in a measurement.

    Attributes:
        name: As in the plan.
        role: ``baseline``; ``control``, the baseline once more (A/A); ``candidate``, compared with the baseline;
            ``alone``, compared with nothing.
        sha256: Of the model's file.
        bytes: Size of the model's file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Literal["baseline", "control", "candidate", "alone"]
    sha256: str
    bytes: int


class Block(BaseModel):
    """Consecutive runs of one contestant.

    Attributes:
        contestant: Its name.
        round: Number of the round, from 0. In a round every contestant opens a session and has two blocks.
        position: Place within the round, from 0.
        start_ns: When its warm-up began, in nanoseconds since the measurement began.
        warmup_ns: Duration of each warm-up run; no figure uses them.
        runs_ns: Duration of each timed run.
        preempted: Indices of the timed runs during which, or just before which, the kernel gave this process's core to
            another one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    contestant: str
    round: int
    position: int
    start_ns: int
    warmup_ns: tuple[int, ...]
    runs_ns: Annotated[tuple[int, ...], Field(min_length=1)]
    preempted: tuple[int, ...] = ()

    @property
    def median_ns(self) -> float:
        """Return the block's time for comparisons: the median of its undisturbed runs, in nanoseconds.

        On a busy machine a run lasts its own time or that plus another process's time slice, and the longer of two
        models is hit more often: a median over both kinds would compare the scheduler. The run after it finds cold
        caches, which costs the shorter model the larger part of its time. So neither counts if there are
        others; if not, the runs after interrupted ones count; if there are none of those either, all do.
        """
        hit = set(self.preempted)
        quiet = [index for index in range(len(self.runs_ns)) if index not in hit]
        warm = [index for index in quiet if index - 1 not in hit]
        return statistics.median(self.runs_ns[index] for index in warm or quiet or range(len(self.runs_ns)))


def round_order(names: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    """Return one round: every name in random order, then the same order backwards (ABBA, ABCCBA).

    The mirror cancels a drift that is linear in time within the round; the random order keeps what is left from
    favouring one contestant.

    Args:
        names: The contestants, in a fixed order.
        generator: Source of the order.

    Returns:
        Each name twice.
    """
    order = tuple(names[index] for index in generator.permutation(len(names)))
    return order + order[::-1]


def fitting_block_length(longest: int, run_ns: Sequence[float], *, budget_ns: float, rounds: int) -> int:
    """Return the number of timed runs per block with which ``rounds`` rounds fit into a time budget.

    Args:
        longest: Never more than this.
        run_ns: Duration of one run of each contestant, in nanoseconds.
        budget_ns: Time for all rounds, in nanoseconds.
        rounds: Rounds wanted.

    Returns:
        Between 1 and ``longest``: slow models get shorter blocks rather than too few rounds.
    """
    runs_in_a_round = 2 * sum(run_ns)
    return max(1, min(longest, int(budget_ns / (rounds * runs_in_a_round)))) if runs_in_a_round > 0 else longest


def round_levels(blocks: Sequence[Block], contestant: str) -> dict[int, float]:
    """Return the log time of a contestant in each round: the mean of the logs of its blocks' medians.

    Args:
        blocks: Of any contestants.
        contestant: Whose to take.

    Returns:
        Round number to natural logarithm of nanoseconds.
    """
    logs: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        if block.contestant == contestant:
            logs[block.round].append(float(np.log(max(block.median_ns, 1.0))))
    return {number: float(np.mean(values)) for number, values in sorted(logs.items())}


def paired_log_ratios(blocks: Sequence[Block], baseline: str, candidate: str) -> npt.NDArray[np.float64]:
    """Return, for each round, the logarithm of the baseline's time over the candidate's.

    Within a round the two are mirrored (ABBA), so a linear drift cancels, and whatever lasts longer than a round
    moves both alike.

    Returns:
        One value a round that holds both, in order; positive where the candidate is faster.
    """
    reference, tried = round_levels(blocks, baseline), round_levels(blocks, candidate)
    return np.array([reference[number] - tried[number] for number in reference if number in tried], dtype=np.float64)


def fewest_runs(blocks: Iterable[Block], contestants: Iterable[str]) -> int:
    """Return how many timed runs the contestant has that has the fewest."""
    runs = dict.fromkeys(contestants, 0)
    for block in blocks:
        runs[block.contestant] += len(block.runs_ns)
    return min(runs.values())
