"""Times of candidates: read from a table, or measured and added to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.engines.native.search.latency_table import LatencyTable, PairedLatency
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.measurement.operators.operator_times import Profile
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe

_LOG = logging.getLogger("quantize")

MeasureLatency = Callable[[ModelArtifact, ModelArtifact, float | None], PairedLatency]
"""Times a candidate in alternation with a baseline, the fp32 model or another candidate, until its speed-up is precise,
or told apart from the one that is given."""
ProfileCandidate = Callable[[ModelArtifact, Recipe], Profile]
"""Profiles the fp32 model and a candidate, op by op."""


class LatencyTimer:
    """Times candidates of one model."""

    def __init__(
        self,
        model: ModelArtifact,
        journal: SearchJournal,
        measure: MeasureLatency,
        profile: ProfileCandidate,
        recorded: LatencyTable | None = None,
        min_speedup: float = 1.0,
    ) -> None:
        """Set up.

        Args:
            model: The fp32 model.
            journal: Remembers every measurement.
            measure: Times a candidate.
            profile: Profiles a candidate.
            recorded: Times to use instead of measuring; what is not among them is measured, and a warning says so.
            min_speedup: The speed-up over fp32 that a candidate has to be told apart from.
        """
        self._model, self._journal = model, journal
        self._recorded = recorded or LatencyTable(model=model.graph_sha256)
        self._told_missing = recorded is None
        self._measure, self._profile, self._min_speedup = measure, profile, min_speedup
        self._profiles: dict[str, ProfiledTimes] = {}
        self._measured: dict[str, PairedLatency] = {}
        self._graphs: dict[str, str] = {}
        self._noise_floor = self._recorded.noise_floor

    @property
    def table(self) -> LatencyTable:
        """Return all times that were used."""
        return LatencyTable(
            model=self._recorded.model,
            profiles=self._profiles,
            measured=self._measured,
            graphs=self._graphs,
            noise_floor=self._noise_floor,
        )

    def latency(
        self,
        artifact: ModelArtifact,
        *,
        recipe: str | None = None,
        baseline: ModelArtifact | None = None,
        to_beat: float | None = None,
        again: bool = True,
    ) -> PairedLatency:
        """Return a candidate's time and the fp32 model's, recorded or measured; the same graph is measured once.

        Args:
            artifact: The candidate.
            recipe: The id of its recipe, which finds a time that was recorded on another CPU.
            baseline: A candidate whose time is known: the two are measured in alternation, as both against fp32 would
                add the errors of two measurements to what tells them apart. None: the fp32 model.
            to_beat: A speed-up over fp32; a candidate that seems faster is measured again, and the lower speed-up
                counts: of many candidates the luckiest measurement would win. What is told apart from it is not
                measured more precisely.
            again: False takes the first measurement of one that seems faster.
        """
        graph = artifact.graph_sha256

        def compute() -> dict[str, float]:
            latency = self._recorded.latency(graph, recipe)
            if latency is None:
                self._tell_missing(recipe)
                latency = self._timed(artifact, baseline, to_beat)
                if again and to_beat is not None and latency.ratio > to_beat:
                    latency = min(latency, self._timed(artifact, baseline, to_beat), key=lambda timed: timed.ratio)
            return latency.model_dump(mode="json")

        if recipe is not None:
            self._graphs[recipe] = graph
        self._measured[graph] = PairedLatency(
            **self._journal.remember("measure", f"latency:{graph}", compute, PairedLatency)
        )
        return self._measured[graph]

    def _timed(self, artifact: ModelArtifact, baseline: ModelArtifact | None, to_beat: float | None) -> PairedLatency:
        if baseline is None:
            return self._measure(artifact, self._model, self._min_speedup if to_beat is None else to_beat)
        known = self._measured[baseline.graph_sha256]
        beside = (known.ratio if to_beat is None else to_beat) / known.ratio
        return known.times(self._measure(artifact, baseline, beside))

    def noise_floor(self) -> float:
        """Return the largest relative difference that fp32 shows from itself, a fraction; it is measured once."""

        def compute() -> float:
            if self._recorded.noise_floor is not None:
                return self._recorded.noise_floor
            itself = self._measure(self._model, self._model, None)
            ends = [end for end in (itself.low, itself.high) if end is not None] or [itself.ratio]
            return max(abs(end - 1.0) for end in ends)

        self._noise_floor = float(self._journal.remember("measure", "noise floor", compute, float))
        return self._noise_floor

    def profile(self, recipe: Recipe, artifact: ModelArtifact) -> ProfiledTimes:
        """Return the fp32 model's and a candidate's time op by op, recorded or measured."""

        def compute() -> dict[str, Any]:
            times = self._recorded.profiles.get(recipe.id)
            if times is None:
                self._tell_missing(recipe.id)
                times = ProfiledTimes.of(self._profile(artifact, recipe))
            return times.model_dump(mode="json")

        times = ProfiledTimes.model_validate(
            self._journal.remember("profile", f"profile:{recipe.id}", compute, ProfiledTimes)
        )
        self._profiles[recipe.id] = times
        return times

    def _tell_missing(self, recipe: str | None) -> None:
        """Say once that not all times are recorded: what they decide may come out differently."""
        if not self._told_missing:
            _LOG.warning(
                "the latency table lacks times that this search needs, of recipe %s first: they are measured here",
                recipe or "unknown",
            )
        self._told_missing = True
