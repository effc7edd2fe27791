"""From an engine's search to what the report says of it: its trials, its candidates and its placements."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto

from quantize.criterion import Criterion
from quantize.engines.engine import CandidateRecord, Engine, PlacedTrial, SearchOutcome, SearchRecord, Trial
from quantize.engines.placement.search import Option
from quantize.evaluation.evaluation import Evaluation
from quantize.report.placement import PlacementOptionSection, PlacementSection, RatioSection
from quantize.report.search import CandidateSection, ComparedSection, SearchSection
from quantize.report.stages import StageSection
from quantize.report.trials import FailureSection, TrialSection
from quantize.rewrites import RatioInterval

_UNBOUNDED = 1e9  # stands for "no upper bound" in the journal


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
        evaluation: Of its model; None where it was not evaluated on all images.
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
        repeats=next((other.index for other in trials if other.recipe.id == trial.repeats), None),
    )


def with_verdicts(sections: Sequence[TrialSection], record: SearchRecord | None) -> tuple[TrialSection, ...]:
    """Return trials with the speed-up of every one that was timed, and the verdict of its race.

    The metric of a race that ended early is one of fewer images, and does not tell the verdict.
    """
    if record is None:
        return tuple(sections)
    known = {
        candidate.recipe_id: {"speedup": candidate.speedup, "met": candidate.met}
        for candidate in record.candidates
        if candidate.trial is not None
    }
    return tuple(section.model_copy(update=known.get(section.recipe_id, {})) for section in sections)


def search_section(outcome: SearchOutcome, images: int) -> SearchSection | None:
    """Return what the report says of a search on so many evaluation images; None where it measured no times."""
    record = outcome.record
    if record is None:
        return None
    return SearchSection(
        stopped=outcome.stopped_because,
        images=images,
        candidates=tuple(_candidate(candidate) for candidate in record.candidates),
        compared=tuple(ComparedSection(recipe=name, mean_kl=kl) for name, kl in record.compared),
        stages=tuple(StageSection(name=name, seconds=seconds) for name, seconds in record.seconds.items()),
    )


def placement_section(placed: PlacedTrial, engine: Engine, fp32: ModelProto) -> PlacementSection:
    """Return what the report says of where a trial's layers compute.

    Args:
        placed: The trial and what was looked at.
        engine: Knows the int8 layers of its recipes.
        fp32: The prepared fp32 model.
    """
    options = (_option(option, engine, fp32, taken=option is placed.taken) for option in placed.options)
    return PlacementSection(mode=placed.mode, reason=placed.reason, options=tuple(options))


def _candidate(candidate: CandidateRecord) -> CandidateSection:
    return CandidateSection.model_validate(candidate, from_attributes=True)


def _option(option: Option, engine: Engine, fp32: ModelProto, *, taken: bool) -> PlacementOptionSection:
    int8, layers = engine.int8_layers(option.recipe, fp32)
    return PlacementOptionSection(
        kind=option.kind,
        recipe_id=option.recipe.id,
        taken=taken,
        int8_layers=int8,
        layers=layers,
        stored_layers=len(option.recipe.stored_nodes),
        predicted_ns=option.predicted_ns,
        speedup=_ratio(option.speedup),
        gain=_ratio(option.gain),
        metric=option.metric,
        met=option.met,
        bytes=option.bytes,
    )


def _ratio(interval: RatioInterval | None) -> RatioSection | None:
    if interval is None:
        return None
    high = interval.high if interval.high < _UNBOUNDED else None
    return RatioSection(ratio=interval.ratio, low=interval.low, high=high)
