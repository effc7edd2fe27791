"""The trials of a run: on disk before the next one begins, reused on resuming, and listed in the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from quantize.criterion import Criterion
from quantize.engines.trial import SearchRecord, Trial
from quantize.errors import ModelError
from quantize.evaluation.evaluation import Evaluation
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.opening.prove import prove
from quantize.recipe import Recipe
from quantize.report.trials import FailureSection, TrialSection

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


class _Recorded(BaseModel):
    """A trial in the journal."""

    recipe: Recipe
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
        earlier: list[RecordedTrial] = []
        for result in self.journal.values(_PREFIX, kind=_Recorded):
            section = TrialSection.model_validate(result["section"])
            recipe = Recipe.model_validate(result["recipe"])
            path = self.candidates / f"{recipe.id}.onnx"
            if recipe.engine != engine or section.failure is not None or not path.is_file():
                continue
            try:
                prove(path)
                artifact = ModelArtifact.load(path)
            except ModelError:
                continue
            if artifact.graph_sha256 == section.graph_sha256:
                first = next((known for known in earlier if known.section.graph_sha256 == section.graph_sha256), None)
                same = None if first is None else first.trial
                repeats = None if same is None else same.recipe.id
                trial = Trial(len(earlier), recipe, artifact, section.metric, section.seconds, repeats=repeats)
                numbers = {"index": len(earlier), "repeats": None if same is None else same.index}
                earlier.append(RecordedTrial(trial, section.model_copy(update=numbers)))
        return tuple(earlier)


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
        earlier: Trials of the resumed or continued run, which come first.
    """
    trials = [recorded.trial for recorded in earlier]
    sections = [recorded.section for recorded in earlier]
    for trial in begun:
        trials.append(replace(trial, index=len(trials)))
        sections.append(section(trials[-1], trials))
        journal.record(trials[-1], sections[-1])
    return trials, sections


def trial_section(
    trial: Trial,
    trials: Sequence[Trial],
    criterion: Criterion,
    evaluation: Evaluation | None,
    integer_share: float | None,
) -> TrialSection:
    """Return what the report says of a trial.

    Args:
        trial: The trial.
        trials: All up to it.
        criterion: What is good enough.
        evaluation: Of its model; None if it was not evaluated on all images.
        integer_share: Share of its layers that compute in int8.
    """
    fidelity = evaluation.fidelity if evaluation is not None else None
    failure = trial.failure
    return TrialSection(
        index=trial.index,
        recipe_id=trial.recipe.id,
        metric=trial.metric,
        met=failure is None and criterion.met(trial.metric),
        agreement=fidelity.agreement if fidelity else None,
        mean_kl=fidelity.mean_kl if fidelity else None,
        integer_share=integer_share,
        speedup=None,
        seconds=trial.seconds,
        graph_sha256=trial.artifact.graph_sha256 if trial.artifact else None,
        failure=FailureSection(stage=failure.stage, error=failure.error) if failure else None,
        images=None if evaluation is None else evaluation.n,
        repeats=next((other.index for other in trials if other.recipe.id == trial.repeats), None),
    )


def with_verdicts(sections: Sequence[TrialSection], record: SearchRecord | None) -> tuple[TrialSection, ...]:
    """Return trials with the speed-up of every one that was timed, and the verdict of its race.

    The metric of a race that ended early is one of fewer images, and does not tell the verdict.
    """
    if record is None:
        return tuple(sections)
    known = {
        candidate.recipe_id: {"speedup": candidate.speedup, "met": candidate.met, "images": candidate.images or None}
        for candidate in record.candidates
        if candidate.trial is not None
    }
    return tuple(section.model_copy(update=known.get(section.recipe_id, {})) for section in sections)
