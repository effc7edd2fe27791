"""One search with onnxruntime's quantizer: its settings, then layers in float, under the run's criterion."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from quantize.engines.ort.quantizer import Quantizer, TimeIsUpError, excluded_nodes, excluding
from quantize.engines.ort.sensitivity import most_sensitive_first
from quantize.engines.ort.settings import settings_to_try
from quantize.engines.placement.bench import choose_placement, place_in_float
from quantize.engines.placement.placed_model import int8_layers
from quantize.engines.task import SearchTask
from quantize.engines.trial import Failure, PlacedTrial, SearchOutcome, Trial, trial_of
from quantize.errors import EngineError
from quantize.formats import to_qlinear
from quantize.models.artifact import ModelArtifact
from quantize.models.session import NOT_RUN, open_session
from quantize.processes.memory import peak_resident_bytes
from quantize.recipe import Recipe

_LOG = logging.getLogger("quantize")
TITLE = "onnxruntime"
_FAILED: tuple[type[Exception], ...] = (EngineError, *NOT_RUN)
_FEWEST_LEFT_IN_FLOAT = 1

StopReason = Literal["met", "timeout", "time_budget", "max_trials", "exhausted", "abandoned"]
_STOPPED = {
    "met": "a candidate met the criterion",
    "timeout": "the time was used up",
    "time_budget": "the time budget was used up",
    "max_trials": "the number of trials was used up",
    "exhausted": "there was nothing more to try",
    "abandoned": "it was interrupted",
}


class OrtSearch:
    """One search: rules for ranges, then each other setting on the best so far, then layers back in float."""

    def __init__(self, task: SearchTask) -> None:
        self._task = task
        self._recipes, self._changes = settings_to_try(task)
        self._tried: dict[str, Trial] = {}
        self._earlier = {trial.recipe.id: trial for trial in task.earlier}
        self._peak_bytes: list[int] = []
        self._stopped: StopReason = "abandoned"
        self._limit: float | None = None
        self._budget: float | None = None

    def trials(self) -> Iterator[Trial]:
        """Yield the trials that were not finished earlier."""
        task, began = self._task, time.monotonic()
        timeout, spent = task.tuning.exit_policy.timeout, sum(trial.seconds for trial in task.earlier)
        self._limit = began + timeout if timeout else None
        self._budget = began + max(task.tuning.time_budget - spent, 0.0)
        with Quantizer(task.model, task.calibration, task.folder, self._watch) as quantizer:
            try:
                yield from self._settings(quantizer)
                if not self._any_met():
                    yield from self._layers_in_float(quantizer)
                self._stopped = "met" if self._any_met() else "exhausted"
            except SearchEndedError as stop:
                self._stopped = stop.reason

    def outcome(self, trials: Sequence[Trial], seconds: float) -> SearchOutcome:
        """Return the trials that met the criterion, those with most layers in int8 first, or the best that missed."""
        task = self._task
        met = [trial for trial in trials if self._met(trial) and trial.repeats is None]
        model = task.model.proto()
        met.sort(key=lambda trial: (-int8_layers(trial.recipe, model)[0], -(trial.metric or 0.0), trial.index))
        order = met or [trial_of(trials, None)]
        return SearchOutcome(
            chosen=order[0],
            others=tuple(order[1:]),
            stopped_because=_STOPPED[self._stopped],
            seconds=seconds + sum(trial.seconds for trial in task.earlier),
            may_go_on=self._stops_when_met and self._stopped == "met",
            peak_bytes=max(self._peak_bytes, default=None),
        )

    def after(self, _trials: Sequence[Trial], _chosen: Trial, _rejected: Collection[str], /) -> Trial | None:
        """Return None: all that met the criterion are in the outcome."""
        return None

    def placed(self, trial: Trial) -> PlacedTrial:
        """Return a trial with its layers where they are fastest on this machine."""
        return choose_placement(self._task, trial, TITLE)

    def in_float(self, trial: Trial) -> PlacedTrial:
        """Return a trial with float arithmetic throughout."""
        return place_in_float(self._task, trial)

    @property
    def _stops_when_met(self) -> bool:
        # As for Neural Compressor: a timeout of 0 ends the search at the first candidate that meets the criterion.
        return not self._task.tuning.exit_policy.timeout

    def _settings(self, quantizer: Quantizer) -> Iterator[Trial]:
        for recipe in self._recipes:
            yield from self._try(quantizer, recipe)
        for change in self._changes:
            yield from self._try(quantizer, self._best().recipe.but(**change))

    def _layers_in_float(self, quantizer: Quantizer) -> Iterator[Trial]:
        """Put the most sensitive layers of the best candidate back to float: the fewest with which it meets."""
        best = self._best()
        if best.artifact is None:
            return
        candidate, base = best.artifact.proto(), best.recipe
        order: list[list[str]] = self._task.journal.step(
            f"sensitive layers {base.id}",
            lambda: most_sensitive_first(self._task, base, candidate),
            kind=list[list[str]],
        )

        def with_float(count: int) -> Recipe:
            return excluding(base, [*excluded_nodes(base), *(name for layer in order[:count] for name in layer)])

        low, high = 0, min(_FEWEST_LEFT_IN_FLOAT, len(order))
        while high > low:
            yield from self._try(quantizer, with_float(high))
            if self._met(self._tried[with_float(high).id]):
                break
            low, high = high, min(2 * high, len(order))
        while high - low > 1:
            middle = (low + high) // 2
            yield from self._try(quantizer, with_float(middle))
            low, high = (low, middle) if self._met(self._tried[with_float(middle).id]) else (middle, high)

    def _try(self, quantizer: Quantizer, recipe: Recipe) -> Iterator[Trial]:
        """Build and evaluate a recipe unless that was done, and end the search when it is time.

        Raises:
            SearchEndedError: The search has come to its end.
        """
        if recipe.id not in self._tried:
            known = self._earlier.get(recipe.id)
            trial = self._tried[recipe.id] = known or self._trial(quantizer, recipe)
            if known is None:
                yield trial
        if self._met(self._tried[recipe.id]) and self._stops_when_met:
            raise SearchEndedError("met")
        if len(self._tried) >= self._task.tuning.exit_policy.max_trials:
            raise SearchEndedError("max_trials")
        self._check_time()

    def _trial(self, quantizer: Quantizer, recipe: Recipe) -> Trial:
        task, began, stage = self._task, time.monotonic(), "quantize"
        repeats, artifact, metric, failure = None, None, None, None
        try:
            artifact = quantizer.build(recipe, self._deadline())
            stage = "convert"
            to_qlinear(artifact.proto())
            stage = "evaluate"
            same = self._same_graph(artifact)
            repeats = None if same is None else same.recipe.id
            if task.criterion.metric == "none":
                open_session(artifact.path)
            else:
                metric = task.callbacks.evaluate(artifact) if same is None else same.metric
        except TimeIsUpError:
            self._check_time()
            raise
        except _FAILED as error:  # a failed trial is data
            artifact, metric, failure = None, None, Failure(stage, str(error))
        trial = Trial(len(self._tried), recipe, artifact, metric, time.monotonic() - began, failure, repeats)
        measured = "failed" if failure else "not measured" if metric is None else f"{metric:.4f}"
        int8, layers = int8_layers(recipe, task.model.proto())
        _LOG.info(
            "trial %d: %s %s, %d of %d layers in int8, %.1f s",
            trial.index + 1,
            task.criterion.metric,
            measured,
            int8,
            layers,
            trial.seconds,
        )
        return trial

    def _same_graph(self, artifact: ModelArtifact) -> Trial | None:
        return next(
            (
                trial
                for trial in self._tried.values()
                if trial.artifact is not None and trial.artifact.graph_sha256 == artifact.graph_sha256
            ),
            None,
        )

    def _met(self, trial: Trial) -> bool:
        rejected = not self._task.rejected.isdisjoint({trial.recipe.id, trial.repeats})
        return trial.failure is None and not rejected and self._task.criterion.met(trial.metric)

    def _any_met(self) -> bool:
        return any(self._met(trial) for trial in self._tried.values())

    def _best(self) -> Trial:
        """Return the built trial with the best metric; the first one where none was built."""
        trials = list(self._tried.values())
        built = [trial for trial in trials if trial.artifact is not None]
        return max(built or trials[:1], key=lambda trial: trial.metric or 0.0)

    def _deadline(self) -> float | None:
        """Return when to stop building; the budget leaves time for one trial, so that there is a result."""
        limits = [self._limit, self._budget if self._tried else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def _check_time(self) -> None:
        now = time.monotonic()
        if self._limit is not None and now >= self._limit:
            raise SearchEndedError("timeout")
        if self._budget is not None and now >= self._budget:
            raise SearchEndedError("time_budget")

    def _watch(self, pid: int) -> None:
        peak_bytes = peak_resident_bytes(pid)
        if peak_bytes is not None:
            self._peak_bytes.append(peak_bytes)


class SearchEndedError(Exception):
    """The search has come to its end.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason
