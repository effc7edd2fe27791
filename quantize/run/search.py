"""One tuning by one engine: every trial recorded, one chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quantize.criterion import Criterion
from quantize.engines.protocols import EvaluateCallback, Trial
from quantize.errors import EngineError
from quantize.evaluation.evaluation import Evaluation
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe
from quantize.report.search import SearchSection
from quantize.report.trials import FailureSection, TrialSection
from quantize.run.evaluator import Evaluator, metric_of
from quantize.run.trial_journal import RecordedTrial, TrialJournal, renumbered

IntegerShare = Callable[[Recipe], float | None]


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: Every trial, in order.
        chosen: The trial that the written models come from: the engine's choice, or the best that failed.
        stopped_because: Why the search ended.
        seconds: How long it took.
        search: How it went, where the native engine searched.
        others: Further trials that met the criterion, in the engine's order of preference.
        may_go_on: The search ended because a trial met the criterion, and can go on without it.
        peak_bytes: Largest resident set of the process that searched; None where the system does not tell.
    """

    trials: tuple[Trial, ...]
    sections: tuple[TrialSection, ...]
    chosen: Trial
    stopped_because: str
    seconds: float
    search: SearchSection | None = None
    peak_bytes: int | None = None
    others: tuple[Trial, ...] = ()
    may_go_on: bool = False


@dataclass
class Search:
    """Runs a tuner's trials and records each as it is finished.

    Attributes:
        criterion: What is good enough.
        evaluator: Evaluates candidates on the images that trials may see.
        integer_share: How much of a recipe's model is in int8.
        journal: Records each finished trial.
        earlier: Trials of the run that is resumed.
    """

    criterion: Criterion
    evaluator: Evaluator
    integer_share: IntegerShare
    journal: TrialJournal
    earlier: tuple[RecordedTrial, ...] = ()

    def evaluate(self, model: ModelArtifact) -> float:
        """Return the criterion's metric of a candidate, a fraction."""
        return metric_of(self.evaluator.evaluate(model), self.criterion)

    def run(
        self,
        tune: Callable[[EvaluateCallback], Iterator[Trial]],
        choice: Callable[[], tuple[str | None, str]],
    ) -> Found:
        """Take every trial of ``tune`` and return what was found.

        Args:
            tune: Begins the search.
            choice: Asked at the end for the recipe id of the engine's choice (or None) and why the search stopped.

        Raises:
            EngineError: No trial gave a model.
        """
        start = time.monotonic()
        trials = [recorded.trial for recorded in self.earlier]
        sections = [recorded.section for recorded in self.earlier]
        for found in tune(self.evaluate):
            trials.append(renumbered(found, len(trials)))
            sections.append(self.section(trials[-1], trials))
            self.journal.record(trials[-1], sections[-1])
        chosen_id, stopped = choice()
        chosen = self._chosen(trials, chosen_id)
        return Found(
            trials=tuple(trials),
            sections=tuple(sections),
            chosen=chosen,
            stopped_because=stopped,
            seconds=time.monotonic() - start,
        )

    def section(self, trial: Trial, trials: Sequence[Trial] = ()) -> TrialSection:
        """Return what the report says of a trial.

        Args:
            trial: The trial.
            trials: All up to it.
        """
        seen = self._seen(trial)
        fidelity = seen.fidelity if seen is not None else None
        failure = trial.failure
        return TrialSection(
            index=trial.index,
            recipe_id=trial.recipe.id,
            metric=trial.metric,
            met=trial.failure is None and self.criterion.met(trial.metric),
            agreement=fidelity.agreement if fidelity else None,
            mean_kl=fidelity.mean_kl if fidelity else None,
            integer_share=self.integer_share(trial.recipe),
            speedup=None,
            seconds=trial.seconds,
            graph_sha256=trial.artifact.graph_sha256 if trial.artifact else None,
            failure=FailureSection(stage=failure.stage, error=failure.error) if failure else None,
            repeats=next((one.index for one in trials if one.recipe.id == trial.repeats), None),
        )

    def _seen(self, trial: Trial) -> Evaluation | None:
        return self.evaluator.known(trial.artifact.graph_sha256) if trial.artifact else None

    def _chosen(self, trials: list[Trial], chosen_id: str | None) -> Trial:
        built = [trial for trial in trials if trial.artifact is not None]
        if not built:
            failures = [trial.failure for trial in trials if trial.failure]
            raise EngineError(
                "no trial gave a model",
                found="; ".join(f"{failure.stage}: {failure.error}" for failure in failures[:3]) or "no trial at all",
                advice="give the search more time (--timeout, --max_trials), or another strategy",
            )
        for trial in built:
            if trial.recipe.id == chosen_id:
                return trial
        return max(built, key=lambda trial: trial.metric if trial.metric is not None else 0.0)
