"""The finished trials of a run, on disk before the next one begins, and taken up again by a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quantize.engines.engine import Trial
from quantize.errors import ModelError
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe
from quantize.report.trials import TrialSection

_PREFIX = "trial "


@dataclass(frozen=True)
class RecordedTrial:
    """A finished trial.

    Attributes:
        trial: What was tried and what came of it.
        section: What the report says of it.
    """

    trial: Trial
    section: TrialSection


@dataclass(frozen=True)
class TrialJournal:
    """Trials in a journal, and their candidates in a folder.

    Attributes:
        journal: The run's journal.
        candidates: Folder with each candidate as ``<recipe id>.onnx``.
    """

    journal: Journal
    candidates: Path

    def record(self, trial: Trial, section: TrialSection) -> None:
        """Append a finished trial, and wait until it is on the disk."""
        self.journal.step(
            _PREFIX + trial.recipe.id,
            lambda: {"recipe": trial.recipe.model_dump(mode="json"), "section": section.model_dump(mode="json")},
        )

    def earlier(self, engine: str) -> tuple[RecordedTrial, ...]:
        """Return an engine's trials of the run that is resumed whose candidates are still there, in order.

        A failed trial, and one whose candidate is gone or damaged, is tried again.
        """
        found: list[RecordedTrial] = []
        for result in self.journal.values(_PREFIX):
            section = TrialSection.model_validate(result["section"])
            recipe = Recipe.model_validate(result["recipe"])
            path = self.candidates / f"{recipe.id}.onnx"
            if recipe.engine != engine or section.failure is not None or not path.is_file():
                continue
            try:
                artifact = ModelArtifact.load(path)
            except ModelError:
                continue
            if artifact.graph_sha256 == section.graph_sha256:
                first = next((one for one in found if one.section.graph_sha256 == section.graph_sha256), None)
                same = None if first is None else first.trial
                repeats = None if same is None else same.recipe.id
                trial = Trial(len(found), recipe, artifact, section.metric, section.seconds, repeats=repeats)
                numbers = {"index": len(found), "repeats": None if same is None else same.index}
                found.append(RecordedTrial(trial, section.model_copy(update=numbers)))
        return tuple(found)


def record(
    begun: Iterator[Trial],
    journal: TrialJournal,
    section: Callable[[Trial, list[Trial]], TrialSection],
    earlier: Sequence[RecordedTrial] = (),
) -> tuple[list[Trial], list[TrialSection]]:
    """Take every trial of a search, numbered in the whole run and recorded as it is finished.

    Args:
        begun: Yields the trials.
        journal: Records them.
        section: Returns what the report says of a trial, given all trials up to it.
        earlier: Trials of the run that is resumed or goes on, which come first.
    """
    trials = [recorded.trial for recorded in earlier]
    sections = [recorded.section for recorded in earlier]
    for trial in begun:
        trials.append(replace(trial, index=len(trials)))
        sections.append(section(trials[-1], trials))
        journal.record(trials[-1], sections[-1])
    return trials, sections
