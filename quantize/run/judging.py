"""The written files on the images and on the clock, held against the criteria of accuracy and speed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.criterion import Outcome, SpeedCriterion, is_slower, overall
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.timing.measurement import Measurement, measured_noise_floor, speedups
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.report.criterion import VerdictSection
from quantize.report.integer_share import arithmetic_of
from quantize.report.models import AccuracySection, FormatsSection, ModelSection, Role
from quantize.report.speed import FileSpeed, SpeedStatus, SpeedVerdict
from quantize.run.accuracy import baseline_accuracy, candidate_accuracy
from quantize.run.build import Built
from quantize.run.context import Context
from quantize.run.evaluator import Evaluator
from quantize.run.export import compare_formats, op_counts
from quantize.run.verdict import verdict_section
from quantize.target import CpuClass


@dataclass(frozen=True)
class Judged:
    """What was found for a pair of files.

    Attributes:
        baseline: The fp32 model.
        models: The files.
        formats: Whether they agree.
        verdict: On both together, as far as it can be told before they are timed: on accuracy.
    """

    baseline: ModelSection
    models: tuple[ModelSection, ...]
    formats: FormatsSection
    verdict: VerdictSection


def judge(built: Built) -> Judged:
    """Evaluate both files and hold them against the criterion.

    They are evaluated on the images that trials saw and, where there are any, on those that were kept from them.
    """
    context, pair = built.context, built.pair
    kept = context.images.certification
    with context.stages.stage("evaluate the written files"):
        formats = compare_formats(pair, context.batches(context.images.evaluation), threads=available_cpus())
        certification = context.evaluator(kept, "certification") if kept is not None else None
        own = model_section(
            "fp32",
            context.model,
            context.folder.path,
            baseline_accuracy(context.selection.evaluate_baseline(context.model)),
            baseline_accuracy(certification.evaluate_baseline(context.model)) if certification else None,
        )
        files: tuple[tuple[Role, ModelArtifact], ...] = (("int8", pair.int8), ("qdq", pair.qdq))
        models = tuple(
            model_section(
                role,
                model,
                context.folder.path,
                _accuracy(context, context.selection, model),
                _accuracy(context, certification, model) if certification else None,
            )
            for role, model in files
        )
    verdict = verdict_section(
        context.criterion,
        models,
        formats,
        built.chosen,
        stopped_because=built.found.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=own.bytes,
    )
    return Judged(own, models, formats, verdict)


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
    candidates = built.found.search.candidates if built.found.search else ()
    met = [candidate.speedup for candidate in candidates if candidate.met and candidate.speedup is not None]
    return verdict_section(
        context.criterion,
        judged.models,
        judged.formats,
        built.chosen,
        stopped_because=built.found.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=judged.baseline.bytes,
        speed=speed,
        fastest=max(met, default=None),
    )


def model_section(
    role: Role,
    artifact: ModelArtifact,
    run: Path,
    selection: AccuracySection,
    certification: AccuracySection | None,
) -> ModelSection:
    """Return what the report says of one model file."""
    arithmetic = arithmetic_of(artifact.proto())
    return ModelSection(
        role=role,
        file=os.path.relpath(artifact.path, run),
        sha256=artifact.sha256,
        graph_sha256=artifact.graph_sha256,
        bytes=artifact.bytes,
        opset=artifact.opset,
        ops=op_counts(artifact.path),
        multiply_adds=arithmetic.total or None,
        integer_share=arithmetic.share,
        selection=selection,
        certification=certification,
    )


def speed_verdict(
    measurement: Measurement, names: Mapping[Role, str], criterion: SpeedCriterion, target: CpuClass, *, asked: bool
) -> SpeedVerdict:
    """Return the verdict on the speed of a pair of files.

    Args:
        measurement: Holds both and fp32.
        names: Role of each file to its name there.
        criterion: What was asked for.
        target: Class of CPUs that the files are for: on another one their speed is not judged.
        asked: False where ``--criterion none`` asks for no verdict.
    """
    here = measurement.environment.cpu_class or this_cpu_class()
    gains = {gain.candidate: gain for gain in speedups(measurement)}
    floor, judged = measured_noise_floor(measurement), asked and criterion.min_speedup > 0 and here == target
    files = tuple(
        FileSpeed(
            role="qdq" if role == "qdq" else "int8",
            ratio=gain.ratio,
            low=gain.low,
            high=gain.high,
            outcome=criterion.outcome(gain, floor) if judged else None,
            slower=is_slower(gain, floor),
        )
        for role, name in names.items()
        if (gain := gains.get(name)) is not None
    )
    return SpeedVerdict(
        status=_status(files, len(names), judged=judged, for_target=here == target),
        min_speedup=criterion.min_speedup,
        noise_floor=floor,
        measured_on=here,
        target=target,
        files=files,
    )


def _status(files: Sequence[FileSpeed], expected: int, *, judged: bool, for_target: bool) -> SpeedStatus:
    if not for_target:
        return "not measured for the target"
    if not judged:
        return "not asked"
    outcomes = [one.outcome for one in files if one.outcome is not None]
    missing: list[Outcome] = ["inconclusive"] * (expected - len(outcomes))  # a file without a figure is not fast enough
    return overall([*outcomes, *missing])


def _accuracy(context: Context, evaluator: Evaluator, model: ModelArtifact) -> AccuracySection:
    return candidate_accuracy(
        evaluator.evaluate_baseline(context.model),
        evaluator.evaluate(model),
        criterion=context.criterion,
        seed=context.config.tuning.random_seed,
    )
