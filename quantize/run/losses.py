"""What was lost between a trial that met the criterion and its written files."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto

from quantize.engines.engine import engine_named
from quantize.models.artifact import save_model
from quantize.recipe import EngineName
from quantize.report.placement import LostSection, PlacementSection
from quantize.report.schema import RunReport
from quantize.report.wording import percent, times
from quantize.run.build import Built
from quantize.run.evaluator import metric_of
from quantize.run.judging import Judged

_NEXT = "The next candidate was tried."


def lost_by(built: Built, judged: Judged) -> tuple[float | None, str] | None:
    """Return the metric of the file that misses the criterion and what lost it; None where both files meet it.

    Only images that trials saw are asked: what others say must not choose among candidates.

    Args:
        built: The files and the steps that led to them.
        judged: What was found for them.
    """
    context, criterion = built.context, built.context.criterion
    if criterion.metric == "none":
        return None
    for name, model in _steps(built):
        metric = metric_of(context.selection.evaluate(save_model(model, context.folder.work / "step.onnx")), criterion)
        if not criterion.met(metric) and not all(criterion.met(metric) for metric in metrics_of(built)):
            return metric, name
    formats = judged.formats
    if formats.agreement < formats.required:
        return None, "the two formats, which disagree"
    return None


def metrics_of(built: Built) -> tuple[float, float]:
    """Return the criterion's metric of both files on the images that trials saw."""
    evaluate, criterion = built.context.selection.evaluate, built.context.criterion
    return metric_of(evaluate(built.pair.int8), criterion), metric_of(evaluate(built.pair.qdq), criterion)


def with_losses(report: RunReport) -> RunReport:
    """Return a report whose verdict says what written files lost, and where layers compute."""
    reasons = [_sentence(report, lost) for lost in report.lost]
    if report.placement is not None and report.placement.options:
        reasons.append(_placement(report.placement, report.chosen.recipe.engine))
    verdict = report.verdict
    stopped = verdict.stopped_because
    if report.lost and verdict.accuracy == "not met":
        stopped = f"{stopped}, but what was written from it does not"
    found = verdict.model_copy(update={"reasons": (*verdict.reasons, *reasons), "stopped_because": stopped})
    return report.model_copy(update={"verdict": found})


def _sentence(report: RunReport, lost: LostSection) -> str:
    met = "" if lost.trial_metric is None else f" ({percent(lost.trial_metric)})"
    missed = "" if lost.metric is None else f" ({percent(lost.metric)})"
    if lost.speedup is not None:
        missed = f" ({times(lost.speedup)} of fp32's speed)"
    text = f"Trial {lost.trial + 1} met the criterion{met}, its written files did not{missed}: lost by {lost.by}."
    return text if report.chosen.trial == lost.trial and not report.chosen.is_placed else f"{text} {_NEXT}"


def _placement(found: PlacementSection, engine: EngineName) -> str:
    taken = found.taken
    assert taken is not None
    text = f"Placement: {found.reason}; {taken.int8_layers} of {taken.layers} layers compute in int8"
    if taken.stored_layers:
        text += f", {taken.stored_layers} in fp32 on weights stored in int8"
    speed = found.options[0].speedup
    if taken.kind not in ("as tuned", "smaller") and speed is not None:
        text += f" (as {engine_named(engine).in_words} decided: {speed.ratio:.2f}x)"
    return f"{text}."


def _steps(built: Built) -> Iterator[tuple[str, ModelProto]]:
    """Yield the models on the way from the trial's to the files, in order, with what made each of the one before."""
    for step in built.steps:
        yield step.name, step.model
    pair = built.pair
    yield "writing the QLinear file", pair.int8.proto()
    yield "the QDQ format", pair.qdq.proto()
