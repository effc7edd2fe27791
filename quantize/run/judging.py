"""Judge the written files by the criteria of accuracy and speed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from quantize.engines.native.search.sequential_test import race_order
from quantize.evaluation.other_outputs import kept_outputs
from quantize.graph.op_counts import op_counts
from quantize.measurement.timing.measurement import Measurement
from quantize.models.artifact import ModelArtifact, save_model
from quantize.processes.pool import available_cpus
from quantize.report.criterion import VerdictSection
from quantize.report.integer_share import arithmetic_of
from quantize.report.models import AccuracySection, FormatsSection, ModelSection, Role
from quantize.report.scores import OtherOutputSection, ScoresSection
from quantize.run.build import Built
from quantize.run.context import Context
from quantize.run.evaluator import Evaluator, baseline_accuracy, candidate_accuracy
from quantize.run.export import compare_formats, finished_model
from quantize.run.plan import FILES, HELD
from quantize.run.verdict import speed_verdict, verdict_section

_KEPT_IMAGES = 64


@dataclass(frozen=True)
class Judged:
    """What was found for a pair of files.

    Attributes:
        baseline: The fp32 model.
        models: The files.
        formats: Whether they agree.
        verdict: On both together, as far as it can be told before they are timed: on accuracy.
        scores: What is judged, where the files give more than that.
    """

    baseline: ModelSection
    models: tuple[ModelSection, ...]
    formats: FormatsSection
    verdict: VerdictSection
    scores: ScoresSection | None = None


def formats_of(built: Built) -> FormatsSection:
    """Return how far both files agree, on the images that candidates are judged on."""
    context, crops = built.context, built.context.images.evaluation
    most = context.effort.compared_images
    if context.is_sampled or context.config.tuning.quick:
        crops = crops.subset(race_order(len(crops), context.config.tuning.random_seed)[:most].tolist())
    with context.stages.stage(HELD):
        return compare_formats(built.pair, context.batches(crops), threads=available_cpus())


def judge(built: Built, formats: FormatsSection) -> Judged:
    """Evaluate both files and hold them against the criterion.

    They are evaluated on all images that trials may see and, where there are any, on those that were kept from them.

    Args:
        built: The files.
        formats: Whether they agree.
    """
    context, pair = built.context, built.pair
    kept = context.images.certification
    with context.stages.stage(FILES):
        certification = context.evaluator(kept, "certification") if kept is not None else None
        own = model_section(
            "fp32",
            context.whole,
            context.folder.path,
            baseline_accuracy(context.selection.evaluate_baseline(context.model)),
            baseline_accuracy(certification.evaluate_baseline(context.model)) if certification else None,
            side=context.images.preprocessing.side,
        )
        files: tuple[tuple[Role, ModelArtifact], ...] = (("int8", pair.int8), ("qdq", pair.qdq))
        models = tuple(
            model_section(
                role,
                model,
                context.folder.path,
                _accuracy(context, context.selection, model),
                _accuracy(context, certification, model) if certification else None,
                side=context.images.preprocessing.side,
            )
            for role, model in files
        )
        scores = _scores(built)
    verdict = verdict_section(
        context.criterion,
        models,
        formats,
        built.chosen,
        stopped_because=built.findings.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=own.bytes,
        scores=scores,
    )
    return Judged(own, models, formats, verdict, scores)


def final_verdict(built: Built, judged: Judged, measurement: Measurement, names: Mapping[Role, str]) -> VerdictSection:
    """Return the verdict on a pair of files that has been timed.

    Args:
        built: The files and what they come from.
        judged: What ``judge`` found for them.
        measurement: Holds both files and fp32.
        names: Role of each file to its name in the measurement.
    """
    context = built.context
    speed = speed_verdict(
        measurement,
        names,
        context.config.tuning.speed,
        built.chosen.target,
        asked=context.criterion.metric != "none",
    )
    candidates = built.findings.search.candidates if built.findings.search else ()
    met = [candidate.speedup for candidate in candidates if candidate.met and candidate.speedup is not None]
    return verdict_section(
        context.criterion,
        judged.models,
        judged.formats,
        built.chosen,
        stopped_because=built.findings.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=judged.baseline.bytes,
        scores=judged.scores,
        speed=speed,
        fastest=max(met, default=None),
    )


def model_section(
    role: Role,
    artifact: ModelArtifact,
    run: Path,
    selection: AccuracySection,
    certification: AccuracySection | None,
    *,
    side: int | None = None,
) -> ModelSection:
    """Return what the report says of one model file.

    Args:
        role: What it is in the run.
        artifact: The file.
        run: The run's folder, which its path is relative to.
        selection: Its accuracy on the images that trials saw.
        certification: On those that were kept from them.
        side: Height and width of the run's images: multiply-adds of a model that takes any size are counted there.
    """
    arithmetic = arithmetic_of(artifact.proto(), image=None if side is None else (side, side))
    return ModelSection(
        role=role,
        file=os.path.relpath(artifact.path, run),
        sha256=artifact.sha256,
        graph_sha256=artifact.graph_sha256,
        bytes=artifact.bytes,
        opset=artifact.opset,
        ops=op_counts(artifact.proto()),
        multiply_adds=arithmetic.total or None,
        integer_share=arithmetic.share,
        selection=selection,
        certification=certification,
    )


def lost_by(built: Built, formats: FormatsSection) -> tuple[float | None, str] | None:
    """Return the metric of the file that misses the criterion and what lost it; None if both files meet it.

    Only images that trials saw are asked: what others say must not choose among candidates.

    Args:
        built: The files and the steps that led to them.
        formats: Whether they agree.
    """
    context, criterion = built.context, built.context.criterion
    if criterion.metric == "none":
        return None
    met = all(criterion.met(metric) for metric in metrics_of(built))
    for name, model in () if met else _steps(built):
        metric = context.judging.metric(save_model(model, context.folder.work / "step.onnx"), criterion)
        if not criterion.met(metric):
            return metric, name
    if formats.agreement < formats.required:
        return None, "the two formats, which disagree"
    return None


def metrics_of(built: Built) -> tuple[float, float]:
    """Return the criterion's metric of both files on the images that trials saw."""
    metric, criterion = built.context.judging.metric, built.context.criterion
    return metric(built.pair.int8, criterion), metric(built.pair.qdq, criterion)


def _accuracy(context: Context, evaluator: Evaluator, model: ModelArtifact) -> AccuracySection:
    return candidate_accuracy(
        evaluator.evaluate_baseline(context.model),
        evaluator.evaluate(model),
        criterion=context.criterion,
        seed=context.config.tuning.random_seed,
    )


def _scores(built: Built) -> ScoresSection | None:
    """Return what is judged, and how the files keep their other outputs, on up to 64 evaluation images."""
    context, pair = built.context, built.pair
    if context.ending is None:
        return None
    crops = context.images.evaluation
    few = context.batches(crops.subset(range(min(_KEPT_IMAGES, len(crops)))))
    files: tuple[tuple[Role, ModelArtifact], ...] = (("int8", pair.int8), ("qdq", pair.qdq))
    return ScoresSection(
        tensor=context.model.contract.output.name,
        given=context.whole.contract.gives_scores,
        others=tuple(
            OtherOutputSection(role=role, name=kept.name, sqnr_decibel=kept.sqnr_decibel, equal=kept.equal)
            for role, file in files
            for kept in kept_outputs(context.whole, file, few)
        ),
    )


def _steps(built: Built) -> Iterator[tuple[str, ModelProto]]:
    """Yield the models on the way from the trial's to the files, in order, with what made each of the one before."""
    for step in built.steps:
        yield step.name, finished_model(step.model, built.context.target)
    pair = built.pair
    yield "writing the QLinear file", pair.int8.proto()
    yield "the QDQ format", pair.qdq.proto()
