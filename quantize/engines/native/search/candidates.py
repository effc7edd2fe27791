"""Candidates of a search as they are evaluated, within its budget."""

from __future__ import annotations

from typing import Literal

from quantize.criterion import Outcome
from quantize.engines.engine import Failure, Trial
from quantize.engines.native.search.latency_table import PairedLatency
from quantize.engines.native.search.recipe_choice import CHANCE, Measure, improves, mean_root
from quantize.engines.native.search.result import Candidate, Stage, Stopped, Timed, as_fast, smallest
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.native.search.workbench import Workbench
from quantize.errors import ModelError
from quantize.models.artifact import ModelArtifact
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

_WORTH = 0.9
"""A candidate that may be slower has to have at most this much of the other's divergence from fp32."""


class BudgetSpentError(Exception):
    """Ends the search where it stands."""

    def __init__(self, what: Stopped) -> None:
        super().__init__(what)
        self.what: Stopped = what


class Candidates:
    """The candidates so far.

    Attributes:
        found: All that were evaluated or failed, in order.
        timed: Those that were timed only.
    """

    def __init__(
        self, bench: Workbench, settings: SearchSettings, divergences: Measure, *, progress: Progress = silent
    ) -> None:
        """Set up.

        Args:
            bench: Does and records the steps.
            settings: The budget.
            divergences: Tells how near to fp32 a recipe's candidate is.
            progress: Told after every candidate.
        """
        self._bench, self._settings, self._divergences, self._progress = bench, settings, divergences, progress
        self._nearer: dict[tuple[str, str], bool] = {}
        self.found: list[Candidate] = []
        self.timed: list[Timed] = []

    @property
    def spent(self) -> float:
        """Return the seconds of all steps so far."""
        return sum(self._bench.seconds.values())

    def evaluated(
        self,
        recipe: Recipe,
        predicted_ns: float | None,
        stage: Stage,
        *,
        since: float | None = None,
        bounded: bool = True,
    ) -> Candidate:
        """Build, judge and, where that may matter, time a candidate.

        Args:
            recipe: What to build.
            predicted_ns: Its predicted time for one run, in nanoseconds; None where there is no prediction.
            stage: The step of the search that it comes from.
            since: ``spent`` when work on it began; None: now.
            bounded: False evaluates it although the budget is spent.

        Raises:
            BudgetSpentError: There is no trial or time left.
        """
        if bounded:
            self.check_budget()
        before = self.spent if since is None else since
        artifact = self._bench.built(recipe)
        if isinstance(artifact, str):
            return self.failed(recipe, artifact, stage, predicted_ns)
        try:
            judged = self._bench.judged(artifact)
            timed = self._bench.latency(artifact, recipe=recipe.id) if judged.met or judged.complete else None
        except ModelError as error:  # onnxruntime does not open it: a fact about this candidate, not about the run
            return self.failed(recipe, str(error), stage, predicted_ns, during="evaluate")
        seconds = self.spent - before
        candidate = Candidate(
            trial=Trial(len(self.found), recipe, artifact, judged.metric, seconds),
            met=judged.met,
            speedup=None if timed is None else timed.ratio,
            predicted_ns=predicted_ns,
            measured_ns=None if timed is None else timed.candidate_ns,
            stage=stage,
            images=judged.images,
            complete=judged.complete,
            speed=None if timed is None else self._speed(artifact, timed),
        )
        self.found.append(candidate)
        self._progress("search", len(self.found), self._settings.max_trials)
        return candidate

    def _speed(self, artifact: ModelArtifact, timed: PairedLatency) -> Outcome:
        """Return whether a candidate is as fast as was asked; the noise floor is measured only where it may decide.

        What computes in fp32 throughout runs fp32's own graph: it is as fast, whatever one measurement says.
        """
        criterion = self._settings.speed
        if criterion is None:
            return "met"
        if criterion.confidence is None and self._settings.may_end_in_fp32 and not _on_integers(artifact):
            return "met"
        outcome = criterion.outcome(timed)
        if outcome != "not met":
            return outcome
        return criterion.outcome(timed, self._bench.noise_floor())

    def preferred(self, *, compare: bool = True) -> Candidate | None:
        """Return the best candidate: of those as fast as the fastest that pass, the smallest, then the nearest to fp32.

        Which one that is, images of the calibration set say that a candidate's statistics did not see; only one that is
        nearer by more than chance and by 10 % takes the place of a faster one.

        Args:
            compare: False goes by the comparisons that were made already: the budget may be spent.
        """
        best: Candidate | None = None
        for one in smallest(as_fast(self.found)):
            if best is None or self.nearer(one.trial.recipe, best.trial.recipe, compare=compare):
                best = one
        return best

    def nearer(self, recipe: Recipe, other: Recipe, *, compare: bool = True) -> bool:
        """Return whether a recipe's candidate is nearer to fp32 than another one's, by more than chance and by 10 %.

        Args:
            recipe: The one that may be nearer.
            other: The one to beat.
            compare: False says no where they were not compared before.
        """
        pair = recipe.id, other.id
        if pair not in self._nearer and compare:
            far, near = self._divergences(other), self._divergences(recipe)
            is_worth_it = mean_root(near) <= _WORTH * mean_root(far)
            self._nearer[pair] = is_worth_it and improves(far, near, CHANCE)
        return self._nearer.get(pair, False)

    @property
    def graphs(self) -> set[str]:
        """Return ``graph_sha256`` of all that were built."""
        return {one.trial.artifact.graph_sha256 for one in self.found if one.trial.artifact is not None}

    def failed(
        self,
        recipe: Recipe,
        error: str,
        stage: Stage,
        predicted_ns: float | None = None,
        *,
        during: Literal["quantize", "profile", "evaluate"] = "quantize",
    ) -> Candidate:
        """Record a candidate that could not be built or opened."""
        trial = Trial(len(self.found), recipe, None, None, 0.0, Failure(during, error))
        candidate = Candidate(
            trial=trial,
            met=False,
            speedup=None,
            predicted_ns=predicted_ns,
            measured_ns=None,
            stage=stage,
            images=0,
            complete=False,
        )
        self.found.append(candidate)
        self._progress("search", len(self.found), self._settings.max_trials)
        return candidate

    def check_budget(self) -> None:
        """Go on only while there is something left of the budget.

        Raises:
            BudgetSpentError: There is no trial or time left.
        """
        trials, seconds = self._settings.max_trials, self._settings.max_seconds
        if trials is not None and len(self.found) >= trials:
            raise BudgetSpentError("trial budget spent")
        # There is always a result: the first candidate is evaluated whatever the time.
        if seconds is not None and self.found and self._bench.elapsed >= seconds:
            raise BudgetSpentError("time budget spent")


def _on_integers(artifact: ModelArtifact) -> bool:
    return any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in artifact.proto().graph.node)
