"""One search by Neural Compressor, seen from the engine: trials, known results and when to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onnx import ModelProto

from quantize.criterion import Criterion
from quantize.engines.exchange import keep_candidate
from quantize.engines.inc.constraints import check_heeded
from quantize.engines.inc.conversation import Conversation, TimeIsUpError
from quantize.engines.inc.decision import OpDecision, kept_int8, recipe_of
from quantize.engines.inc.settings import IncSettings
from quantize.engines.task import EvaluateCallback
from quantize.engines.trial import Failure, Trial
from quantize.errors import EngineError, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.models.session import NOT_RUN, open_session
from quantize.processes.parent import Message
from quantize.recipe import Recipe

_LOGGER = logging.getLogger("quantize.engines.inc.tuner")

StopReason = Literal["met", "timeout", "time_budget", "max_trials", "exhausted", "failed", "abandoned"]
"""``met``: the strategy is content; ``exhausted``: it has nothing left, and nothing met the criterion; ``failed``: an
error was raised; ``abandoned``: it was interrupted, or no more trials were requested."""

_WORSE_THAN_ALL = -2.0
_NOT_MET = -1e-6


@dataclass(frozen=True)
class Measured:
    """What was found for a graph.

    Attributes:
        recipe_id: Of the trial that gave it first.
        metric: The criterion's metric, a fraction; None if nothing was measured.
        failure: Why it could not be run, or None.
    """

    recipe_id: str
    metric: float | None
    failure: Failure | None = None


@dataclass(frozen=True)
class _Result:
    metric: float | None
    met: bool


class Search:
    """Turns what Neural Compressor says into trials, and answers it.

    Args:
        settings: Limits and constraints.
        fp32: The model that is quantized.
        criterion: What is good enough.
        evaluate: Measures a candidate.
        container: The candidates' format.
        candidates: Folder that they are kept in.
        known: Metric of recipes measured before: answered from memory, and not yielded again.
        graphs: What trials before this search measured, by the candidate's ``graph_sha256``.
        rejected: Ids of recipes that do not count as met, whatever their metric: what was written from them was lost.
    """

    def __init__(
        self,
        settings: IncSettings,
        fp32: ModelProto,
        criterion: Criterion,
        evaluate: EvaluateCallback,
        container: Literal["qlinear", "qdq"],
        candidates: Path,
        known: Mapping[str, float],
        graphs: Mapping[str, Measured] | None = None,
        rejected: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._fp32 = fp32
        self._criterion = criterion
        self._evaluate = evaluate
        self._container = container
        self._candidates = candidates
        self._known = known
        self._results: dict[str, _Result] = {}
        self._graphs = dict(graphs or {})
        self._rejected = frozenset(rejected)
        self._recipe: Recipe | None = None
        self._began = time.monotonic()
        self._limit = None if not settings.timeout else self._began + settings.timeout
        self._budget = None if settings.time_budget is None else self._began + settings.time_budget
        self.stopped: StopReason = "abandoned"

    def trials(self, conversation: Conversation) -> Iterator[Trial]:
        """Yield the trials of a search until it ends; ``stopped`` says why it did.

        Raises:
            EngineError: Neural Compressor failed; a trial that it had begun is yielded first.
        """
        try:
            while self.stopped == "abandoned":
                message = conversation.next_event(self._deadline())
                if message["kind"] == "begin":
                    self._begin(message)
                elif message["kind"] == "finished":
                    self.stopped = "met" if self._any_met() else "exhausted"
                else:
                    yield from self._candidate(conversation, Path(message["path"]))
        except TimeIsUpError:
            self.stopped = "timeout" if _has_passed(self._limit) or self._budget is None else "time_budget"
        except EngineError as error:
            self.stopped = "failed"
            if self._recipe is not None:
                failure = Failure(conversation.stage, str(error))
                yield self._timed(self._recipe, failure=failure)
            raise
        except Exception:
            self.stopped = "failed"
            raise

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
            self._record(recipe, trial.metric, failed=trial.failure is not None, repeats=trial.repeats)
            yield trial
        else:
            self._record(recipe, metric, failed=False)
        result = self._results[recipe.id]
        ends = result.met and self._settings.stop_when_met
        if _has_passed(self._limit) or (_has_passed(self._budget) and not ends):
            raise TimeIsUpError
        if len(self._results) >= self._settings.max_trials:
            self.stopped = "met" if ends else "max_trials"
            return
        conversation.answer(met=result.met, margin=self._margin(result))

    def _margin(self, result: _Result) -> float:
        if result.metric is None:
            return 0.0 if result.met else _WORSE_THAN_ALL
        margin = result.metric - (self._criterion.floor() or 0.0)
        return margin if result.met else min(margin, _NOT_MET)

    def _deadline(self) -> float | None:
        """Return when to stop listening; the budget leaves time for one trial, so that there is a result."""
        limits = [self._limit, self._budget if self._results else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def _measure(self, recipe: Recipe, captured: Path) -> Trial:
        try:
            artifact = keep_candidate(captured, self._candidates, recipe.id, self._fp32)
        except ModelError as error:  # one broken candidate is a failed trial, not the end of the search
            return self._timed(recipe, failure=Failure("capture", str(error)))
        # Unlike configurations often lead to the same graph, which is not run again.
        first = self._graphs.get(artifact.graph_sha256)
        measured = first or self._measured(recipe, artifact)
        self._graphs[artifact.graph_sha256] = measured
        return self._timed(
            recipe,
            artifact=None if measured.failure else artifact,
            metric=measured.metric,
            failure=measured.failure,
            repeats=None if first is None else first.recipe_id,
        )

    def _measured(self, recipe: Recipe, artifact: ModelArtifact) -> Measured:
        try:
            if self._criterion.metric == "none":
                open_session(artifact.path)
                return Measured(recipe.id, None)
            metric = self._evaluate(artifact)
        except NOT_RUN as error:
            return Measured(recipe.id, None, Failure("evaluate", str(error)))
        return Measured(recipe.id, metric)

    def _record(self, recipe: Recipe, metric: float | None, *, failed: bool, repeats: str | None = None) -> None:
        rejected = not self._rejected.isdisjoint({recipe.id, repeats})
        met = not failed and not rejected and self._criterion.met(metric)
        self._results[recipe.id] = _Result(metric, met=met)

    def _timed(
        self,
        recipe: Recipe,
        *,
        artifact: ModelArtifact | None = None,
        metric: float | None = None,
        failure: Failure | None = None,
        repeats: str | None = None,
    ) -> Trial:
        now = time.monotonic()
        trial = Trial(len(self._results), recipe, artifact, metric, now - self._began, failure, repeats)
        self._began = now
        kept = kept_int8(recipe)
        measured = "failed" if failure else "not measured" if metric is None else f"{metric:.4f}"
        _LOGGER.info(
            "trial %d: %s %s%s, %d of %d ops and %d of %d with weights in int8, %.1f s",
            trial.index + 1,
            self._criterion.metric,
            measured,
            ", a graph that was tried before" if repeats else "",
            kept.ops,
            kept.all_ops,
            kept.weighted,
            kept.all_weighted,
            trial.seconds,
        )
        return trial

    def _any_met(self) -> bool:
        return any(result.met for result in self._results.values())


def _has_passed(limit: float | None) -> bool:
    return limit is not None and time.monotonic() >= limit
