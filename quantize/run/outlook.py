"""How long a tuning run will still take: the plan at its start, and what is left of it at any time.

A stage that goes through images tells how far it is, and what the images took corrects what is planned behind it. It is
an outlook, not a promise: a search ends when it has found something.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from quantize.progress import WHOLE_RUN, Progress, roughly
from quantize.run.plan import BENCHMARK, DECODE, FP32, Plan, planned
from quantize.run.work import Work

_LOG = logging.getLogger("quantize")

_COUNTED = {DECODE: "decode images", FP32: "evaluate", BENCHMARK: "benchmark"}
"""What tells how far a stage is."""
_SEEN = 0.1
"""Share of the images from which on their time tells that of the others: the first ones open and warm up."""
_OVERDUE = 0.1
"""What is taken to be left of a stage that takes longer than planned, of what it took."""


@dataclass
class Outlook:
    """Passes progress on, and tells how much of the whole run is done whenever it is known.

    Attributes:
        progress: Receives everything.
        clock: Gives the time in seconds.
    """

    progress: Progress
    clock: Callable[[], float] = time.monotonic
    _work: Work | None = None
    _plan: Plan | None = None
    _position: int = -1
    _ended: bool = False
    _began: float = field(default=0.0)
    _since: float = 0.0
    _done: int = 0
    _total: int = 0

    def __post_init__(self) -> None:
        """Begin now."""
        self._began = self._since = self.clock()

    def expect(self, work: Work, *, resumed: bool = False) -> None:
        """Take what the run has to do, and tell the plan.

        Args:
            work: What it is.
            resumed: Whether the run goes on: what it finished before comes at once.
        """
        self._work, self._plan = work, planned(work)
        most = "at most " if resumed else "about "
        _LOG.info("the whole run takes %s%s:", most, roughly(self._plan.seconds))
        for stage, seconds in self._plan.in_words().items():
            _LOG.info("  %s: %s", stage, roughly(seconds))
        self._tell()

    def expect_unseen(self, certification: int) -> None:
        """Take how many images no trial sees."""
        if self._work is not None:
            self._plan_anew(
                replace(
                    self._work,
                    evaluated=self._work.evaluated + self._work.certification - certification,
                    certification=certification,
                )
            )

    def begin(self, stage: str) -> None:
        """Take that a stage of the run begins."""
        position = None if self._plan is None else self._plan.next(stage, self._position)
        if position is not None:
            self._position, self._since, self._done, self._total, self._ended = position, self.clock(), 0, 0, False
        elif stage == self._stage:
            self._ended = False  # it goes on: files are compared on a sample first, and evaluated on all images then
        self._tell()
        self.progress(stage, 0, None)

    def end(self, stage: str) -> None:
        """Take that a stage of the run has ended."""
        if stage == self._stage and not self._ended and self._work is not None:
            self._learn(self._work, self.clock() - self._since)
            self._ended = True
        self._tell()
        self.progress(stage, 1, 1)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Pass progress on, and tell of the whole run."""
        if self._stage is not None and _COUNTED.get(self._stage) == stage and total:
            self._done, self._total = done, total
        self._tell()
        self.progress(stage, done, total)

    def left(self) -> float | None:
        """Return how many seconds the run will still take; None while nothing tells."""
        if self._plan is None:
            return None
        now = 0.0 if self._ended or self._position < 0 else self._left_of_stage(self._plan.stages[self._position][1])
        return now + self._plan.after(self._position)

    @property
    def _stage(self) -> str | None:
        return None if self._plan is None or self._position < 0 else self._plan.stages[self._position][0]

    def _left_of_stage(self, expected: float) -> float:
        passed = self.clock() - self._since
        left = max(expected - passed, _OVERDUE * passed)
        if self._total and self._done >= _SEEN * self._total:
            left = passed * (self._total - self._done) / self._done
        if self._stage == BENCHMARK and self._work is not None:
            left = max(0.0, min(left, self._work.most_benchmark - passed))
        return left

    def _learn(self, work: Work, seconds: float) -> None:
        """Correct what is planned by what images took; images that were decoded before tell nothing."""
        if not self._total or self._done < self._total or self._plan is None:
            return
        if self._stage == DECODE:
            # What decodes more slowly than planned does everything in Python and numpy more slowly, if not as much.
            ratio = seconds / max(self._plan.stages[self._position][1], 1e-6)
            self._plan_anew(replace(work, slowness=work.slowness * min(max(ratio, 0.5), 2.0) ** 0.5))
        elif self._stage == FP32:
            self._plan_anew(replace(work, fp32=seconds * work.cores / max(work.evaluated, 1)))

    def _plan_anew(self, work: Work) -> None:
        self._work, self._plan = work, planned(work)

    def _tell(self) -> None:
        left = self.left()
        if left is not None:
            passed = self.clock() - self._began
            self.progress(WHOLE_RUN, round(passed), max(round(passed + left), round(passed) + 1))
