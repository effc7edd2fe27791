"""The candidates of a search, evaluated within its budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from quantize.criterion import Outcome
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.native.search.latency_timer import LatencyTimer
from quantize.engines.native.search.result import AS_FAST, Candidate, Judgement, Stage, Stopped, fastest_met
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.trial import CandidateRecord, Failure, Trial
from quantize.graph.nodes import LINEAR
from quantize.models.artifact import ModelArtifact
from quantize.models.session import NOT_RUN
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

Judge = Callable[[ModelArtifact], Judgement]
"""Says how a candidate does on the evaluation images."""


class BudgetSpentError(Exception):
    """The budget is spent: the search ends."""

    def __init__(self, what: Stopped) -> None:
        super().__init__(what)
        self.what: Stopped = what


class Candidates:
    """The candidates so far.

    Attributes:
        evaluated: All that were evaluated or failed, in order.
        timed: Those that were timed only.
    """

    def __init__(
        self,
        builder: CandidateBuilder,
        judge: Judge,
        timer: LatencyTimer,
        journal: SearchJournal,
        settings: SearchSettings,
        *,
        progress: Progress = silent,
    ) -> None:
        """Set up.

        Args:
            builder: Builds candidates.
            judge: Evaluates them.
            timer: Times them.
            journal: Remembers what was done.
            settings: The budget, and how fast a candidate has to be.
            progress: Called after every candidate.
        """
        self._builder, self._judge, self._timer, self._journal = builder, judge, timer, journal
        self._settings, self._progress = settings, progress
        self.evaluated: list[Candidate] = []
        self.timed: list[CandidateRecord] = []

    @property
    def spent(self) -> float:
        """Return the seconds of all steps so far."""
        return sum(self._journal.seconds.values())

    def evaluated_of(self, recipe: Recipe) -> Candidate | None:
        """Return the candidate of a recipe that was evaluated, or None."""
        return next((candidate for candidate in self.evaluated if candidate.trial.recipe.id == recipe.id), None)

    def evaluate(
        self,
        recipe: Recipe,
        predicted_ns: float | None,
        stage: Stage,
        *,
        since: float | None = None,
        bounded: bool = True,
    ) -> Candidate:
        """Build, judge and, if it may matter, time a candidate.

        Args:
            recipe: What to build.
            predicted_ns: Its predicted time for one run, in nanoseconds; None without a prediction.
            stage: The step of the search that it comes from.
            since: ``spent`` when work on it began; None: now.
            bounded: False evaluates it although the budget is spent.

        Raises:
            BudgetSpentError: There is no trial or time left.
        """
        if bounded:
            self.check_budget()
        before = self.spent if since is None else since
        artifact = self._builder.build(recipe)
        if isinstance(artifact, str):
            return self.add_failed(recipe, artifact, stage, predicted_ns)
        try:
            judgement = self._judged(artifact)
            is_timed = judgement.met or (judgement.complete and not self._settings.first_answer)
            timed = self._timed(artifact, recipe) if is_timed else None
        except NOT_RUN as error:  # not opened or not run: a fact about it, not about the run
            return self.add_failed(recipe, str(error), stage, predicted_ns, during="evaluate")
        trial = Trial(len(self.evaluated), recipe, artifact, judgement.metric, self.spent - before)
        candidate = Candidate(
            trial,
            stage=stage,
            met=judgement.met,
            predicted_ns=predicted_ns,
            images=judgement.images,
            complete=judgement.complete,
        )
        if timed is not None:
            speed = self._speed(artifact, timed)
            candidate = replace(candidate, speedup=timed.ratio, measured_ns=timed.candidate_ns, speed=speed)
        return self._add(candidate)

    def add_failed(
        self,
        recipe: Recipe,
        error: str,
        stage: Stage,
        predicted_ns: float | None = None,
        *,
        during: Literal["quantize", "profile", "evaluate"] = "quantize",
    ) -> Candidate:
        """Record a candidate that could not be built or opened."""
        trial = Trial(len(self.evaluated), recipe, None, None, 0.0, Failure(during, error))
        return self._add(Candidate(trial, stage=stage, predicted_ns=predicted_ns))

    def check_budget(self) -> None:
        """Return while the budget lasts.

        Raises:
            BudgetSpentError: There is no trial or time left.
        """
        trials, seconds = self._settings.max_trials, self._settings.max_seconds
        if trials is not None and len(self.evaluated) >= trials:
            raise BudgetSpentError("trial budget spent")
        # There is always a result: the first candidate is evaluated whatever the time.
        if seconds is not None and self.evaluated and self._journal.elapsed >= seconds:
            raise BudgetSpentError("time budget spent")

    def _add(self, candidate: Candidate) -> Candidate:
        self.evaluated.append(candidate)
        self._progress("search", len(self.evaluated), None)  # the trial budget says how many there may be, not will be
        return candidate

    def _judged(self, artifact: ModelArtifact) -> Judgement:
        """Return how a candidate does on the evaluation images; the same graph is judged once."""

        def compute() -> dict[str, Any]:
            judgement = self._judge(artifact)
            return {name: getattr(judgement, name) for name in ("metric", "met", "images", "total")}

        return Judgement(**self._journal.remember("evaluate", f"judged:{artifact.graph_sha256}", compute, Judgement))

    def _timed(self, artifact: ModelArtifact, recipe: Recipe) -> PairedLatency:
        """Return a candidate's time; measured beside the fastest one, where there is one that passes.

        It is with that one that it competes, and the two differ by less than two measurements against fp32 do.
        """
        fastest = fastest_met(self.evaluated)
        if fastest is None or fastest.speedup is None:
            return self._timer.latency(artifact, recipe=recipe.id)
        rival = fastest.trial.artifact
        return self._timer.latency(
            artifact, recipe=recipe.id, baseline=rival, to_beat=fastest.speedup / AS_FAST, again=False
        )

    def _speed(self, artifact: ModelArtifact, timed: PairedLatency) -> Outcome:
        """Return whether a candidate is fast enough; the noise floor is measured only if it may decide.

        What computes in fp32 throughout runs fp32's own graph: it is as fast, whatever one measurement says.
        """
        criterion = self._settings.speed
        if criterion is None:
            return "met"
        if criterion.confidence is None and self._settings.may_end_in_fp32 and not _computes_on_integers(artifact):
            return "met"
        outcome = criterion.outcome(timed)
        if outcome != "not met":
            return outcome
        return criterion.outcome(timed, self._timer.noise_floor())


def _computes_on_integers(artifact: ModelArtifact) -> bool:
    return any(node.op_type in LINEAR for node in artifact.proto().graph.node)
