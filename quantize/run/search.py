"""One search by one engine in a run: every trial recorded, one chosen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from quantize.criterion import Criterion
from quantize.engines.engine import (
    Engine,
    EngineSearch,
    PlacedTrial,
    SearchOutcome,
    SearchTask,
    Trial,
    trial_of,
)
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.recipe import Recipe
from quantize.report.search import SearchSection
from quantize.report.trials import TrialSection
from quantize.run.context import Context
from quantize.run.engine_task import search_section
from quantize.run.trials import RecordedTrial, TrialJournal, record, trial_section, with_verdicts


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: Every trial, in order.
        sections: What the report says of each.
        chosen: The trial that the written models come from: the engine's choice, or the best that failed.
        stopped_because: Why the search ended.
        seconds: How long it took.
        search: How it went, where the engine predicts and measures times.
        others: Further trials that met the criterion, in the engine's order of preference.
        may_go_on: The search ended because a trial met the criterion, and can go on without it.
        peak_bytes: Largest resident set of the process that searched; None where the system does not tell.
        latencies: The times that decided; None where none did.
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
    """A search by one engine, which goes on where the files of what it found miss the criterion."""

    def __init__(self, engine: Engine, task: SearchTask, context: Context) -> None:
        """Set up; nothing is searched yet.

        Args:
            engine: The engine.
            task: What it is asked and given.
            context: The run.
        """
        self.engine = engine
        self._task, self._selection = task, context.selection
        self._trials = TrialJournal(task.journal, task.folder / "candidates")
        self._proto = task.model.proto()
        self._of_engine: EngineSearch | None = None

    @property
    def criterion(self) -> Criterion:
        """Return what is good enough."""
        return self._task.criterion

    def run(self, rejected: frozenset[str] = frozenset()) -> Found:
        """Search and return what was found.

        Args:
            rejected: Ids of recipes that do not count as met: their files missed the criterion.

        Raises:
            QuantizeError: The engine is missing or failed, or gave no model at all.
        """
        start = time.monotonic()
        earlier = self._earlier()
        given = tuple(recorded.trial for recorded in earlier)
        search = self._of_engine = self.engine.search(replace(self._task, earlier=given, rejected=rejected))
        trials, sections = record(search.trials(), self._trials, self._section, earlier)
        return self._found(trials, sections, search.outcome(trials, time.monotonic() - start))

    def built_again(self, recipe: Recipe) -> Found:
        """Return a search of one trial: a recorded recipe, built again without its rewrites."""
        task, bare = self._task, recipe.but(rewrites=())
        start = time.monotonic()

        def trial() -> Iterator[Trial]:
            model = self.engine.build(task.model, bare, task.calibration, task.folder)
            metric = task.callbacks.evaluate(model) if self.criterion.metric != "none" else None
            yield Trial(index=0, recipe=bare, artifact=model, metric=metric, seconds=time.monotonic() - start)

        trials, sections = record(trial(), self._trials, self._section)
        stopped = "a recorded recipe was built again"
        return self._found(trials, sections, SearchOutcome(trials[0], stopped, time.monotonic() - start))

    def run_once(self) -> Found:
        """Search, unless the run's journal knows how the search ended; then its recorded trials are what was found."""
        key = f"searched {self.engine.name}"
        found = self._ended(key) or self.run()
        # What counts is what the search took when it came to its end first.
        recorded = self._trials.journal.step(
            key,
            lambda: {
                "chosen": found.chosen.recipe.id,
                "stopped": found.stopped_because,
                "seconds": found.seconds,
                "peak_bytes": found.peak_bytes,
            },
        )
        return replace(found, seconds=recorded["seconds"], peak_bytes=recorded["peak_bytes"])

    def go_on(self, found: Found, rejected: frozenset[str]) -> Found | None:
        """Return the search after it went on without some recipes; None where that gave nothing new, or may not be.

        Args:
            found: The search so far.
            rejected: Ids of recipes without rewrites, whose files missed the criterion.
        """
        chosen = self._search().after(found.trials, found.chosen, rejected)
        if chosen is not None:
            return replace(found, chosen=chosen)
        tuning = self._task.tuning
        left = found.seconds < tuning.time_budget and len(found.trials) < tuning.exit_policy.max_trials
        if not found.may_go_on or not left:
            return None
        with self._task.callbacks.stage("tune"):
            return self.run(rejected)

    def placed(self, trial: Trial) -> PlacedTrial | None:
        """Return a trial with its layers where they are fastest; None where the search itself decides that."""
        return self._search().placed(trial)

    def in_float(self, trial: Trial) -> PlacedTrial:
        """Return a trial that was placed with all its arithmetic in float."""
        return self._search().in_float(trial)

    def _search(self) -> EngineSearch:
        if self._of_engine is None:  # the journal knew how it ended
            self._of_engine = self.engine.search(self._task)
        return self._of_engine

    def _earlier(self) -> tuple[RecordedTrial, ...]:
        return () if self.engine.yields_trials_again else self._trials.earlier(self.engine.name)

    def _ended(self, key: str) -> Found | None:
        if self.engine.yields_trials_again or not self._trials.journal.finished(key):
            return None
        ended: dict[str, Any] = self._trials.journal.step(key, dict)
        earlier = self._earlier()
        # A candidate whose file is gone has to be built again, by the same search.
        if ended["chosen"] not in {recorded.trial.recipe.id for recorded in earlier}:
            return None
        trials = [recorded.trial for recorded in earlier]
        outcome = SearchOutcome(trial_of(trials, ended["chosen"]), ended["stopped"], ended["seconds"])
        return self._found(trials, [recorded.section for recorded in earlier], outcome)

    def _found(self, trials: list[Trial], sections: list[TrialSection], outcome: SearchOutcome) -> Found:
        return Found(
            trials=tuple(trials),
            sections=with_verdicts(sections, outcome.record),
            chosen=outcome.chosen,
            stopped_because=outcome.stopped_because,
            seconds=outcome.seconds,
            search=search_section(outcome, len(self._selection.crops)),
            peak_bytes=outcome.peak_bytes,
            others=outcome.others,
            may_go_on=outcome.may_go_on,
            latencies=outcome.latencies,
        )

    def _section(self, trial: Trial, trials: list[Trial]) -> TrialSection:
        int8, layers = self.engine.int8_layers(trial.recipe, self._proto)
        known = self._selection.known(trial.artifact.graph_sha256) if trial.artifact else None
        return trial_section(trial, trials, self.criterion, known, int8 / layers if layers else None)
