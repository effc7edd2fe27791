"""How long a tuning run will still take: what is done of its parts, and what the others are expected to take.

A part that goes through images tells how far it is. What the others take follows from the number of images and from
the time of one, which is estimated from what this CPU reaches until fp32 was seen to run. It is an outlook, not a
promise: a search ends when it has found something.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from quantize.engines.image_budget import SAMPLE
from quantize.progress import WHOLE_RUN, Progress

_DECODE = "decode the images"
_FP32 = "evaluate fp32"
_SEARCH = "tune"
_BUILD = "rewrite, and write both formats"
_FILES = "evaluate the written files"
_BENCHMARK = "benchmark"
_PARTS = (_DECODE, _FP32, _SEARCH, _BUILD, _FILES, _BENCHMARK)
_SUBSTAGES = {"decode images": _DECODE, "evaluate": ""}

_DECODED = 0.005
"""Seconds for an image of ILSVRC2012 on a core."""
_INT8 = 0.6
"""What an image takes in int8, of its time in fp32: between the CPUs that gain most and those that gain nothing."""
_SEARCHED = 6_000
"""Images in fp32 that a search takes the time of, beside those that judge candidates: statistics, sensitivity."""
_MEASURED = 30.0
"""Seconds of timing in a search, and of what follows the benchmark."""
_JUDGED = 3
"""Candidates that a search judges, as a rule."""
_OVERHEAD = 1.6
"""What a model takes beyond its products at their peak."""


@dataclass
class Outlook:
    """Passes progress on, and tells how much of the whole run is done whenever it is known.

    Attributes:
        progress: Receives everything.
        clock: Gives the time in seconds.
    """

    progress: Progress
    clock: Callable[[], float] = time.monotonic
    _images: int = 0
    _certification: int = 0
    _cores: int = 1
    _fp32: float | None = None
    _most: float = 0.0
    _benchmark: float = 0.0
    _part: str | None = None
    _began: float = field(default=0.0)
    _since: float = 0.0
    _done: int = 0
    _total: int = 0

    def __post_init__(self) -> None:
        """Begin now."""
        self._began = self._since = self.clock()

    def expect(self, *, images: int, cores: int, most_search: float, benchmark: float) -> None:
        """Take what is known before anything is read.

        Args:
            images: Images of the run.
            cores: Cores that work.
            most_search: Seconds that the search may take.
            benchmark: Seconds of the benchmark.
        """
        self._images, self._cores, self._most, self._benchmark = images, cores, most_search, benchmark

    def expect_fp32(self, peak_ns: float) -> None:
        """Take the time of fp32's products on one image on one core at their peak, in nanoseconds."""
        self._fp32 = _OVERHEAD * peak_ns / 1e9 / self._cores

    def expect_unseen(self, certification: int) -> None:
        """Take how many images no trial sees."""
        self._certification = certification

    def begin(self, stage: str) -> None:
        """Take that a stage of the run begins."""
        part = next((part for part in _PARTS if stage.startswith(part)), self._part)
        if part != self._part:
            self._part, self._since, self._done, self._total = part, self.clock(), 0, 0
        self._tell()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Pass progress on, and tell of the whole run."""
        if stage in _SUBSTAGES and self._part in (_DECODE, _FP32) and total:
            self._done, self._total = done, total
            if self._part == _FP32 and done * 10 >= total:  # the first batches open and warm up
                self._fp32 = (self.clock() - self._since) / (done / total * self._evaluated)
        self._tell()
        self.progress(stage, done, total)

    def _tell(self) -> None:
        left = self.left()
        if left is not None:
            passed = self.clock() - self._began
            self.progress(WHOLE_RUN, round(passed), max(round(passed + left), round(passed) + 1))

    @property
    def _evaluated(self) -> int:
        return self._images - self._certification

    def left(self) -> float | None:
        """Return how many seconds the run will still take; None while nothing tells."""
        if self._part is None or self._fp32 is None:
            return None
        passed, expected = self.clock() - self._since, self._expected(self._part)
        seen = passed * (self._total - self._done) / self._done if self._done else None
        now = max(expected - passed, 0.1 * passed) if seen is None else seen
        return now + sum(self._expected(part) for part in _PARTS[_PARTS.index(self._part) + 1 :])

    def _expected(self, part: str) -> float:
        fp32 = self._fp32 or 0.0
        int8, sample = _INT8 * fp32, min(SAMPLE, self._evaluated)
        return {
            _DECODE: self._images * _DECODED / self._cores,
            _FP32: self._evaluated * fp32,
            _SEARCH: min(self._most, _SEARCHED * fp32 + _MEASURED + _JUDGED * sample * int8),
            _BUILD: _MEASURED + _JUDGED * sample * int8,
            _FILES: self._certification * fp32 + 2 * self._images * int8,
            _BENCHMARK: self._benchmark + _MEASURED,
        }[part]
