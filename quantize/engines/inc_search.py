"""One search by Neural Compressor, as the engine sees it: trials, what is known already, and when to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from quantize.engines.inc_candidate import keep_candidate
from quantize.engines.inc_constraints import check_heeded
from quantize.engines.inc_conversation import Conversation
from quantize.engines.inc_decision import OpDecision, recipe_of
from quantize.engines.inc_kept import kept_int8
from quantize.engines.inc_messages import Message
from quantize.engines.inc_outcome import IncOutcome, Result, StopReason, outcome_of
from quantize.engines.inc_process import TimeIsUpError
from quantize.engines.inc_settings import IncSettings
from quantize.engines.protocols import EvaluateCallback, Failure, Goal, Trial
from quantize.errors import EngineError, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe

_LOGGER = logging.getLogger("quantize.engines.inc")

_WORSE_THAN_ALL = -2.0


class Search:
    """Turns what Neural Compressor says into trials, and answers it.

    Args:
        settings: Limits and constraints.
        goal: What is good enough.
        evaluate: Measures a candidate.
        container: The candidates' format.
        candidates: Folder that they are kept in.
        known: Metric of recipes measured before: answered from memory, and not yielded again.
    """

    def __init__(
        self,
        settings: IncSettings,
        goal: Goal,
        evaluate: EvaluateCallback,
        container: Literal["qlinear", "qdq"],
        candidates: Path,
        known: Mapping[str, float],
    ) -> None:
        self._settings = settings
        self._goal = goal
        self._evaluate = evaluate
        self._container = container
        self._candidates = candidates
        self._known = known
        self._results: dict[str, Result] = {}
        self._metrics: dict[str, float] = {}
        self._recipe: Recipe | None = None
        self._began = time.monotonic()
        self._limit = None if not settings.timeout else self._began + settings.timeout
        self.stopped: StopReason = "abandoned"

    def trials(self, conversation: Conversation) -> Iterator[Trial]:
        """Yield the trials of a search until it ends; ``stopped`` says why it did.

        Raises:
            EngineError: Neural Compressor failed; a trial that it had begun is yielded first.
        """
        try:
            while self.stopped == "abandoned":
                message = conversation.next_event(self._limit)
                if message["kind"] == "begin":
                    self._begin(message)
                elif message["kind"] == "finished":
                    self.stopped = "met" if self._any_met() else "exhausted"
                else:
                    yield from self._candidate(conversation, Path(message["path"]))
        except TimeIsUpError:
            self.stopped = "timeout"
        except EngineError as error:
            self.stopped = "failed"
            if self._recipe is not None:
                failure = Failure(conversation.stage, str(error))
                yield self._timed(self._recipe, failure=failure)
            raise
        except Exception:
            self.stopped = "failed"
            raise

    def outcome(self) -> IncOutcome:
        """Return why the search ended and what it chose."""
        return outcome_of(self.stopped, list(self._results.values()))

    def _begin(self, message: Message) -> None:
        decisions = [OpDecision.from_state(name, op_type, state) for name, op_type, state in message["ops"]]
        if not self._results:
            check_heeded(self._settings, decisions)
        self._recipe = recipe_of(
            decisions,
            container=self._container,
            reduce_range=self._settings.reduce_range,
            calibration_images=message["images"],
        )

    def _candidate(self, conversation: Conversation, captured: Path) -> Iterator[Trial]:
        recipe, self._recipe = self._recipe, None
        if recipe is None:
            raise EngineError("Neural Compressor evaluated a model without saying how it was built")
        metric = self._known.get(recipe.id)
        if recipe.id in self._results:
            metric = self._results[recipe.id].metric
        elif metric is None:
            trial = self._measure(recipe, captured)
            self._record(recipe, trial.metric, failed=trial.failure is not None)
            yield trial
        else:
            self._record(recipe, metric, failed=False)
        result = self._results[recipe.id]
        if self._limit is not None and time.monotonic() >= self._limit:
            raise TimeIsUpError
        if len(self._results) >= self._settings.max_trials:
            self.stopped = "met" if result.met and self._settings.stop_when_met else "max_trials"
            return
        conversation.answer(met=result.met, margin=self._margin(result))

    def _margin(self, result: Result) -> float:
        if result.metric is None:
            return 0.0 if result.met else _WORSE_THAN_ALL
        return result.metric - (self._goal.floor() or 0.0)

    def _measure(self, recipe: Recipe, captured: Path) -> Trial:
        stage = "capture"
        try:
            artifact = keep_candidate(captured, self._candidates, recipe.id)
            stage = "evaluate"
            metric = self._metric(artifact)
        except ModelError as error:  # one broken candidate is a failed trial, not the end of the search
            return self._timed(recipe, failure=Failure(stage, str(error)))
        return self._timed(recipe, artifact=artifact, metric=metric)

    def _metric(self, artifact: ModelArtifact) -> float | None:
        if self._goal.metric == "none":
            return None
        # Unlike configurations often lead to the same graph.
        if artifact.graph_sha256 not in self._metrics:
            self._metrics[artifact.graph_sha256] = self._evaluate(artifact)
        return self._metrics[artifact.graph_sha256]

    def _record(self, recipe: Recipe, metric: float | None, *, failed: bool) -> None:
        self._results[recipe.id] = Result(recipe, metric, met=not failed and self._goal.met(metric))

    def _timed(
        self,
        recipe: Recipe,
        *,
        artifact: ModelArtifact | None = None,
        metric: float | None = None,
        failure: Failure | None = None,
    ) -> Trial:
        now = time.monotonic()
        trial = Trial(len(self._results), recipe, artifact, metric, now - self._began, failure)
        self._began = now
        kept = kept_int8(recipe)
        measured = "failed" if failure else "not measured" if metric is None else f"{metric:.4f}"
        _LOGGER.info(
            "trial %d: %s %s, %d of %d ops and %d of %d with weights in int8, %.1f s",
            trial.index + 1,
            self._goal.metric,
            measured,
            kept.ops,
            kept.all_ops,
            kept.weighted,
            kept.all_weighted,
            trial.seconds,
        )
        return trial

    def _any_met(self) -> bool:
        return any(result.met for result in self._results.values())
