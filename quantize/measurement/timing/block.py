"""The unit of a measurement: some runs of one model in a row."""

from __future__ import annotations

import statistics
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Contestant(BaseModel):
    """One who takes part in a measurement.

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
    """Runs of one contestant in a row.

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
    runs_ns: tuple[int, ...]
    preempted: tuple[int, ...] = ()

    @property
    def median_ns(self) -> float:
        """Return the block's time for comparisons: the median of its undisturbed runs, in nanoseconds.

        On a busy machine a run lasts its own time or that plus a time slice of someone else's, and the longer of two
        models is hit more often: a median over both kinds would compare the scheduler. The run after it finds cold
        caches, which costs the shorter model the larger part of its time. So neither counts, as long as there are
        others; where there are none, the runs after interrupted ones count, and where there are none of these, all.
        """
        hit = set(self.preempted)
        quiet = [index for index in range(len(self.runs_ns)) if index not in hit]
        warm = [index for index in quiet if index - 1 not in hit]
        return statistics.median(self.runs_ns[index] for index in warm or quiet or range(len(self.runs_ns)))
