"""Compare models on the same images: accuracy on all of them, latency in alternation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from quantize.cache_folder import user_cache
from quantize.commands.benchmark_images import without_calibration
from quantize.commands.benchmark_subjects import BASELINE, BenchmarkRequest, Subjects, subjects
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.errors import ConfigError, ExitCode
from quantize.files import scratch_folder, write_text
from quantize.measurement.instances.measure import measure_instances
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.resources import measure_resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.stages import StageTimes, measure_stages, preparation
from quantize.measurement.timing.throughput import measure_batch_sizes
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent
from quantize.provenance import versions
from quantize.report.benchmark import BenchmarkedModel, BenchmarkReport, CalibrationShare
from quantize.report.benchmark_text import benchmark_text
from quantize.report.data import PreprocessingSection
from quantize.report.models import AccuracySection
from quantize.run.evaluator import Evaluator, baseline_accuracy, candidate_accuracy
from quantize.run.measuring import ROTATED_IMAGES, latency_plan, prepared_inputs
from quantize.run.resolve import is_exact

_STAGE_SECONDS = 20.0


def benchmark(request: BenchmarkRequest, *, progress: Progress = silent) -> BenchmarkReport:
    """Measure models on the same images: accuracy, latency, or both.

    Raises:
        QuantizeError: Something that the user can fix.
    """
    measured = subjects(request)
    contract = next(iter(measured.models.values())).contract
    listed = open_images(
        measured.data, measured.labels, classes=contract.classes, several=contract.may_have_several_labels
    )
    if listed.label_count is not None:
        measured = replace(measured, models={name: model.of_labels() for name, model in measured.models.items()})
    if not request.asks_accuracy:
        listed = listed.subset(range(0, len(listed), max(1, len(listed) // ROTATED_IMAGES)))
    with scratch_folder("benchmark") as scratch:
        crops = crop_images(
            listed,
            measured.preprocessing,
            user_cache() / "crops",
            workers=request.workers,
            skip_unreadable=request.skip_unreadable,
            progress=progress,
        )
        share: CalibrationShare | None = None
        if request.asks_accuracy:
            crops, share = without_calibration(request, measured, crops)
        accuracy = _accuracy(request, measured, crops, scratch, progress) if request.asks_accuracy else {}
        report = _report(request, measured, listed, crops, accuracy, progress).model_copy(update={"calibration": share})
    if request.output_dir is not None:
        write_text(request.output_dir / "benchmark.txt", benchmark_text(report) + "\n")
        write_text(request.output_dir / "benchmark.json", report.model_dump_json(indent=1) + "\n")
    return report


def exit_code_of(report: BenchmarkReport) -> ExitCode:
    """Return 1 or 3 where a comparison does not meet, or does not settle, the accuracy criterion; else 0."""
    judgements = [model.accuracy.judgement for model in report.models if model.accuracy is not None]
    return ExitCode.worst([judgement.deciding.exit_code for judgement in judgements if judgement is not None])


def _accuracy(
    request: BenchmarkRequest, measured: Subjects, crops: Crops, scratch: Path, progress: Progress
) -> dict[str, AccuracySection]:
    evaluator = Evaluator(
        crops,
        measured.preprocessing,
        scratch / "scores",
        available_cpus(),
        exact=is_exact(measured.target),
        progress=progress,
    )
    first, *others = measured.models
    baseline = evaluator.evaluate_baseline(measured.models[first])
    sections = {first: baseline_accuracy(baseline)}
    expected = baseline.accuracy if baseline.labelled else None
    criterion = request.config.tuning.accuracy_criterion.criterion(expected, metric=baseline.metric)
    for name in others:
        sections[name] = candidate_accuracy(
            baseline,
            evaluator.evaluate(measured.models[name], measured.preprocessings[name]),
            criterion=criterion,
            seed=request.config.tuning.random_seed,
        )
    return sections


def _report(
    request: BenchmarkRequest,
    measured: Subjects,
    listed: ImageSet,
    crops: Crops,
    accuracy: Mapping[str, AccuracySection],
    progress: Progress,
) -> BenchmarkReport:
    plan = latency_plan(
        measured.models,
        request.config.evaluation.performance,
        seed=request.config.tuning.random_seed,
        max_seconds=request.config.evaluation.performance.max_seconds,
        precision=request.precision,
        baseline=BASELINE if measured.compared else None,
    )
    models, preprocessings = measured.models, measured.preprocessings
    inputs = {name: prepared_inputs(crops, preprocessings[name], model) for name, model in models.items()}
    few = {name: images[0] for name, images in inputs.items()}
    instances = request.config.evaluation.performance.configs.num_of_instance
    speed = request.asks_speed
    return BenchmarkReport(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        mode=request.mode,
        data=str(measured.data),
        images=len(crops),
        data_fingerprint=crops.fingerprint,
        preprocessing=_section(measured.preprocessing),
        models=tuple(
            BenchmarkedModel(
                name=name,
                file=str(model.path),
                sha256=model.sha256,
                bytes=model.bytes,
                accuracy=accuracy.get(name),
                preprocessing=None
                if preprocessings[name].fingerprint == measured.preprocessing.fingerprint
                else _section(preprocessings[name]),
            )
            for name, model in models.items()
        ),
        latency=measure(plan, inputs, progress=progress) if speed else None,
        instances=measure_instances(plan, inputs, instances, progress=progress) if speed and instances > 1 else None,
        throughput=measure_batch_sizes(plan, inputs, request.batch_sizes, progress=progress)
        if speed and request.batch_sizes
        else (),
        resources=measure_resources(plan, few, progress=progress) if speed else (),
        profile=_profile(measured, plan, inputs, progress) if speed and request.profile else None,
        stages=_stages(measured, listed, plan, progress) if speed else (),
        versions=versions(),
        target=measured.target,
        cpu_class=this_cpu_class(),
        notes=request.config.notes,
    )


def _section(preprocessing: Preprocessing) -> PreprocessingSection:
    return PreprocessingSection.model_validate(preprocessing.model_dump())


def _profile(measured: Subjects, plan: Plan, inputs: Inputs, progress: Progress) -> Profile:
    """Profile the baseline and the first other model.

    Raises:
        ConfigError: There is no baseline to compare with.
    """
    others = [name for name in measured.models if name != BASELINE]
    if not measured.compared or not others:
        raise ConfigError(
            "a profile compares a model with its fp32 baseline, and none was given",
            where="--profile",
            expected="--baseline_model, or a run",
            advice="name the fp32 model with --baseline_model",
        )
    return profile(plan, inputs, others[0], recipe=measured.recipe, progress=progress)


def _stages(measured: Subjects, listed: ImageSet, plan: Plan, progress: Progress) -> tuple[StageTimes, ...]:
    """Measure how long decoding, preparing and running an image take."""
    preparations = {
        name: preparation(
            measured.preprocessings[name], layout=model.contract.input_layout, dtype=model.contract.input.dtype
        )
        for name, model in measured.models.items()
    }
    brief = plan.model_copy(update={"max_seconds": min(_STAGE_SECONDS, plan.max_seconds)})
    encoded = [listed.read(index) for index in range(min(ROTATED_IMAGES, len(listed)))]
    return measure_stages(brief, encoded, preparations, progress=progress)
