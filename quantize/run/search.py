"""One search by one engine: every trial recorded, one chosen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from quantize.criterion import Criterion
from quantize.engines.engine import Engine, EngineSearch
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.engines.task import SearchTask
from quantize.engines.trial import PlacedTrial, SearchOutcome, Trial
from quantize.recipe import Recipe
from quantize.report.search import SearchSection
from quantize.report.trials import TrialSection
from quantize.run.context import Context
from quantize.run.engine_task import search_section
from quantize.run.trials import TrialJournal, record, trial_section, with_verdicts


@dataclass(frozen=True)
class Findings:
    """What a search came to.

    Attributes:
        trials: Every trial, in order.
        sections: What the report says of each.
        chosen: The trial that the written models come from: the engine's choice, or the best that failed.
        stopped_because: Why the search ended.
        seconds: How long it took.
        search: How it went, where the engine predicts and measures times.
        others: Further trials that met the criterion, in the engine's order of preference.
        may_go_on: The search ended because a trial met the criterion, and can continue without it.
        peak_bytes: Largest resident set of the process that searched; None if the system does not tell.
        latencies: The times that decided; None if none did.
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
    latencies: LatencyTable | None = None


class Search:
    """A search by one engine, which continues if the files of its choice miss the criterion."""

    def __init__(self, engine: Engine, task: SearchTask, context: Context) -> None:
        """Set up; nothing is searched yet.

        Args:
            engine: The engine.
            task: What it is asked and given.
            context: The run.
        """
        self.engine = engine
        self._task, self._context, self._journal = task, context, task.journal
        self._trials = TrialJournal(task.journal, task.folder / "candidates")
        self._of_engine: EngineSearch | None = None

    @property
    def criterion(self) -> Criterion:
        """Return the criterion of a good candidate."""
        return self._task.criterion

    def run(self, rejected: frozenset[str] = frozenset()) -> Findings:
        """Search and return what was found; a search whose end the run's journal knows is not done again.

        Args:
            rejected: Ids of recipes that do not count as met: their files missed the criterion.

        Raises:
            QuantizeError: The engine is missing or failed, or gave no model at all.
        """
        name, inputs = self._step(rejected)
        known = self._journal.value(name, inputs, kind=_End | _Repeated)
        findings = (None if known is None else self._known(known)) or self._searched(rejected)
        end = self._journal.step(name, lambda: _end(findings), inputs, kind=_End | _Repeated)
        if end["repeated"]:
            return findings
        # What counts is what the search took when it came to its end first.
        return replace(findings, seconds=end["seconds"], peak_bytes=end["peak_bytes"])

    def repeat(self, recipe: Recipe) -> Findings:
        """Return a search of one trial: what another run's search chose is put into the journal as this one's end."""
        end = {"recipe": recipe.but(rewrites=()).model_dump(mode="json"), "repeated": True}
        name, inputs = self._step(frozenset())
        self._journal.step(name, lambda: end, inputs)
        return self.run()

    def go_on(self, findings: Findings, rejected: frozenset[str]) -> Findings | None:
        """Return the search continued without some recipes; None if that gave nothing new or is not allowed.

        Args:
            findings: The search so far.
            rejected: Ids of recipes without rewrites, whose files missed the criterion.
        """
        chosen = self._search().after(findings.trials, findings.chosen, rejected)
        if chosen is not None:
            return replace(findings, chosen=chosen)
        tuning = self._task.tuning
        left = findings.seconds < tuning.time_budget and len(findings.trials) < tuning.exit_policy.max_trials
        if not findings.may_go_on or not left:
            return None
        with self._task.callbacks.stage("tune"):
            return self.run(rejected)

    def placed(self, trial: Trial) -> PlacedTrial | None:
        """Return a trial with its layers where they are fastest; None if the search itself decides that."""
        return self._search().placed(trial)

    def in_float(self, trial: Trial) -> PlacedTrial:
        """Return a trial that was placed with all its arithmetic in float."""
        return self._search().in_float(trial)

    def _search(self) -> EngineSearch:
        if self._of_engine is None:  # the journal knew how it ended
            self._of_engine = self.engine.search(self._task)
        return self._of_engine

    def _step(self, rejected: frozenset[str]) -> tuple[str, list[str]]:
        return f"searched {self.engine.name}", sorted(rejected)

    def _searched(self, rejected: frozenset[str]) -> Findings:
        start = time.monotonic()
        earlier = () if self.engine.yields_trials_again else self._trials.earlier(self.engine.name)
        given = tuple(recorded.trial for recorded in earlier)
        search = self._of_engine = self.engine.search(replace(self._task, earlier=given, rejected=rejected))
        trials, sections = record(search.trials(), self._trials, self._section, earlier)
        return self._findings(trials, sections, search.outcome(trials, time.monotonic() - start))

    def _known(self, end: dict[str, Any]) -> Findings | None:
        """Return a search as its journaled end tells; None if its trials have to be found by searching."""
        recipe = Recipe.model_validate(end["recipe"])
        if end["repeated"]:
            return self._built_again(recipe)
        if self.engine.yields_trials_again:
            return None
        earlier = self._trials.earlier(self.engine.name)
        known = {recorded.trial.recipe.id: recorded.trial for recorded in earlier}
        if recipe.id not in known:
            return None  # the candidate's file is gone: the same search builds it again
        outcome = SearchOutcome(
            chosen=known[recipe.id],
            stopped_because=end["stopped"],
            seconds=end["seconds"],
            others=tuple(known[other] for other in end["others"] if other in known),
            may_go_on=end["may_go_on"],
        )
        trials = [recorded.trial for recorded in earlier]
        return self._findings(trials, [recorded.section for recorded in earlier], outcome)

    def _built_again(self, recipe: Recipe) -> Findings:
        task, start = self._task, time.monotonic()

        def trial() -> Iterator[Trial]:
            model = self.engine.build(task.model, recipe, task.calibration, task.folder)
            metric = task.callbacks.evaluate(model) if self.criterion.metric != "none" else None
            yield Trial(index=0, recipe=recipe, artifact=model, metric=metric, seconds=time.monotonic() - start)

        trials, sections = record(trial(), self._trials, self._section)
        stopped = "a recorded recipe was built again"
        return self._findings(trials, sections, SearchOutcome(trials[0], stopped, time.monotonic() - start))

    def _findings(self, trials: list[Trial], sections: list[TrialSection], outcome: SearchOutcome) -> Findings:
        return Findings(
            trials=tuple(trials),
            sections=with_verdicts(sections, outcome.record),
            chosen=outcome.chosen,
            stopped_because=outcome.stopped_because,
            seconds=outcome.seconds,
            search=search_section(outcome, len(self._context.selection.crops)),
            peak_bytes=outcome.peak_bytes,
            others=outcome.others,
            may_go_on=outcome.may_go_on,
            latencies=outcome.latencies,
        )

    def _section(self, trial: Trial, trials: list[Trial]) -> TrialSection:
        int8, layers = self.engine.int8_layers(trial.recipe, self._task.model.proto())
        known = self._context.judging.known(trial.artifact.graph_sha256) if trial.artifact else None
        return trial_section(trial, trials, self.criterion, known, int8 / layers if layers else None)


class _Repeated(BaseModel):
    """What the journal keeps of a search that another run made."""

    recipe: Recipe
    repeated: Literal[True]


class _End(BaseModel):
    """What the journal keeps of a search's end."""

    recipe: Recipe
    repeated: Literal[False]
    others: list[str]
    stopped: str
    seconds: float
    peak_bytes: int | None
    may_go_on: bool


def _end(findings: Findings) -> dict[str, Any]:
    """Return what the journal keeps of a search's end; its trials are there already."""
    return {
        "recipe": findings.chosen.recipe.model_dump(mode="json"),
        "repeated": False,
        "others": [trial.recipe.id for trial in findings.others],
        "stopped": findings.stopped_because,
        "seconds": findings.seconds,
        "peak_bytes": findings.peak_bytes,
        "may_go_on": findings.may_go_on,
    }
