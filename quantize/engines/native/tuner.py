"""The native search behind the protocol that every tuner keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from quantize.criterion import Criterion
from quantize.data.batch import Batch
from quantize.engines.engine import EvaluateCallback, Trial
from quantize.engines.native.search.calibration_images import CalibrationImages
from quantize.engines.native.search.candidates import Judge
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.engines.native.search.latency_timer import LatencyTimer, MeasureLatency, ProfileCandidate
from quantize.engines.native.search.result import Judgement
from quantize.engines.native.search.search import Search
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent


class NativeTuner:
    """A Tuner that builds its candidates itself and knows their latency."""

    def __init__(
        self,
        settings: SearchSettings,
        folder: Path,
        *,
        measure: MeasureLatency,
        profile: ProfileCandidate,
        calibration_fingerprint: str,
        configuration: Mapping[str, Any],
        journal: Journal,
        judge: Judge | None = None,
        recorded: LatencyTable | None = None,
        progress: Progress = silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            settings: What the search may do.
            folder: The run's work folder.
            measure: Times a candidate in alternation with the fp32 model or another candidate.
            profile: Profiles the fp32 model and a candidate.
            calibration_fingerprint: Of the calibration images and their preprocessing.
            configuration: What else the results depend on, such as the evaluation images, besides the model, the
                criterion and the settings.
            journal: The run's journal; the search's steps are a part of it.
            judge: Evaluates candidates with racing; without it, the ``evaluate`` callback of ``tune`` does.
            recorded: Recorded times to decide by.
            progress: Called after every step of a stage.
            clock: Gives the time in seconds.
        """
        self._settings, self._folder = settings, folder
        self._measure, self._profile, self._judge = measure, profile, judge
        self._fingerprint, self._configuration = calibration_fingerprint, dict(configuration)
        self._journal, self._recorded, self._progress = journal, recorded, progress
        self._clock = clock
        self.search: Search | None = None

    def tune(
        self, model: ModelArtifact, criterion: Criterion, evaluate: EvaluateCallback, batches: Iterable[Batch]
    ) -> Iterator[Trial]:
        """Yield every trial as it is finished; ``search`` holds the rest.

        Args:
            model: The prepared fp32 model.
            criterion: What is good enough.
            evaluate: Called with each candidate where there is no judge.
            batches: The calibration set, iterated several times.
        """

        def judge(candidate: ModelArtifact) -> Judgement:
            value = evaluate(candidate) if criterion.metric != "none" else None
            return Judgement(metric=value, met=criterion.met(value), images=0, total=0)

        configuration = {
            "model": model.graph_sha256,
            "goal": [criterion.metric, criterion.baseline, criterion.relative, criterion.absolute, criterion.minimum],
            "settings": self._settings.model_dump(mode="json"),
            "calibration": self._fingerprint,
            "latencies": "recorded" if self._recorded is not None else "measured",
            **self._configuration,
        }
        journal = SearchJournal(self._journal.part("native", configuration), self._clock)
        self.search = Search(
            model,
            self._settings,
            CalibrationImages(batches, self._fingerprint),
            judge=self._judge or judge,
            timer=LatencyTimer(model, journal, self._measure, self._profile, self._recorded),
            journal=journal,
            folder=self._folder,
            progress=self._progress,
        )
        yield from self.search.trials()
