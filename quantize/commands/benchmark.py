"""Models beside each other: accuracy on all images, latency in alternation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from quantize.commands.benchmark_subjects import BASELINE, BenchmarkRequest, Subjects, subjects
from quantize.data.cache_folder import user_cache
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.errors import ConfigError, ExitCode
from quantize.files import write_text
from quantize.measurement.instances.measure import measure_instances
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.resources import measure_resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.profile import profile
from quantize.measurement.timing.measure import Inputs, measure
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.stages import Prepare, measure_stages, preparation
from quantize.measurement.timing.throughput import measure_batch_sizes
from quantize.processes.pool import available_cpus
from quantize.progress import Progress, silent
from quantize.provenance import versions
from quantize.report.benchmark import BenchmarkedModel, BenchmarkReport
from quantize.report.benchmark_text import benchmark_text
from quantize.report.data import PreprocessingSection
from quantize.report.models import AccuracySection
from quantize.run.evaluator import Evaluator, baseline_accuracy, candidate_accuracy
from quantize.run.measuring import ROTATED_IMAGES, latency_plan, prepared_inputs
from quantize.run.resolve import is_exact

__all__ = ["BenchmarkRequest", "BenchmarkResult", "benchmark"]

_STAGE_SECONDS = 20.0


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark found.

    Attributes:
        report: Everything.
        text: The same for a terminal.
        exit_code: 0; 1 or 3 where a comparison does not meet, or does not settle, the accuracy criterion.
    """

    report: BenchmarkReport
    text: str
    exit_code: ExitCode


def benchmark(request: BenchmarkRequest, *, progress: Progress = silent) -> BenchmarkResult:
    """Measure models on the same images: accuracy, latency, or both.

    Raises:
        QuantizeError: Something that the user can mend: see its children.
    """
    found = subjects(request)
    listed = open_images(found.data, found.labels, classes=next(iter(found.models.values())).contract.classes)
    if not request.asks_accuracy:
        listed = listed.subset(range(0, len(listed), max(1, len(listed) // ROTATED_IMAGES)))
    with tempfile.TemporaryDirectory(prefix="quantize-benchmark-") as scratch:
        crops = crop_images(
            listed,
            found.preprocessing,
            user_cache() / "crops",
            workers=request.workers,
            skip_unreadable=request.skip_unreadable,
            progress=progress,
        )
        accuracy = _accuracy(request, found, crops, Path(scratch), progress) if request.asks_accuracy else {}
        report = _report(request, found, listed, crops, accuracy, progress)
    text = benchmark_text(report)
    if request.output_dir is not None:
        write_text(request.output_dir / "benchmark.txt", text + "\n")
        write_text(request.output_dir / "benchmark.json", report.model_dump_json(indent=1) + "\n")
    return BenchmarkResult(report, text, _exit_code(accuracy))


def _accuracy(
    request: BenchmarkRequest, found: Subjects, crops: Crops, scratch: Path, progress: Progress
) -> dict[str, AccuracySection]:
    evaluator = Evaluator(
        crops,
        found.preprocessing,
        scratch / "scores",
        available_cpus(),
        exact=is_exact(found.target),
        progress=progress,
    )
    first, *others = found.models
    baseline = evaluator.evaluate_baseline(found.models[first])
    sections = {first: baseline_accuracy(baseline)}
    expected = baseline.top_k(1).expected if baseline.labelled else None
    criterion = request.config.tuning.accuracy_criterion.criterion(expected)
    for name in others:
        sections[name] = candidate_accuracy(
            baseline,
            evaluator.evaluate(found.models[name], found.preprocessings[name]),
            criterion=criterion,
            seed=request.config.tuning.random_seed,
        )
    return sections


def _report(
    request: BenchmarkRequest,
    found: Subjects,
    listed: ImageSet,
    crops: Crops,
    accuracy: Mapping[str, AccuracySection],
    progress: Progress,
) -> BenchmarkReport:
    plan = latency_plan(
        found.models,
        request.config.evaluation.performance,
        seed=request.config.tuning.random_seed,
        max_seconds=request.config.evaluation.performance.max_seconds,
        precision=request.precision,
        baseline=BASELINE if found.compared else None,
    )
    inputs = {name: prepared_inputs(crops, found.preprocessings[name], model) for name, model in found.models.items()}
    few = {name: images[0] for name, images in inputs.items()}
    instances = request.config.evaluation.performance.configs.num_of_instance
    speed = request.asks_speed
    return BenchmarkReport(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        mode=request.mode,
        data=str(found.data),
        images=len(crops),
        data_fingerprint=crops.fingerprint,
        preprocessing=_section(found.preprocessing),
        models=tuple(
            BenchmarkedModel(
                name=name,
                file=str(model.path),
                sha256=model.sha256,
                bytes=model.bytes,
                accuracy=accuracy.get(name),
                preprocessing=None
                if found.preprocessings[name].fingerprint == found.preprocessing.fingerprint
                else _section(found.preprocessings[name]),
            )
            for name, model in found.models.items()
        ),
        latency=measure(plan, inputs, progress=progress) if speed else None,
        instances=measure_instances(plan, inputs, instances, progress=progress) if speed and instances > 1 else None,
        throughput=measure_batch_sizes(plan, inputs, request.batch_sizes, progress=progress)
        if speed and request.batch_sizes
        else (),
        resources=measure_resources(plan, few, progress=progress) if speed else (),
        profile=_profiled(found, plan, inputs, progress) if speed and request.profile else None,
        stages=measure_stages(_brief(plan), _encoded(listed), _preparations(found), progress=progress) if speed else (),
        versions=versions(),
        target=found.target,
        cpu_class=this_cpu_class(),
        notes=request.config.notes,
    )


def _section(preprocessing: Preprocessing) -> PreprocessingSection:
    return PreprocessingSection.model_validate(preprocessing.model_dump())


def _profiled(found: Subjects, plan: Plan, inputs: Inputs, progress: Progress) -> Profile:
    """Profile the baseline beside the first other model.

    Raises:
        ConfigError: There is no baseline to set it beside.
    """
    others = [name for name in found.models if name != BASELINE]
    if not found.compared or not others:
        raise ConfigError(
            "a profile sets a model beside its fp32 baseline, and there is none",
            where="--profile",
            expected="--baseline_model, or a run",
            advice="name the fp32 model with --baseline_model",
        )
    return profile(plan, inputs, others[0], recipe=found.recipe, progress=progress)


def _brief(plan: Plan) -> Plan:
    return plan.model_copy(update={"max_seconds": min(_STAGE_SECONDS, plan.max_seconds)})


def _encoded(listed: ImageSet) -> list[bytes]:
    return [listed.read(index) for index in range(min(ROTATED_IMAGES, len(listed)))]


def _preparations(found: Subjects) -> dict[str, Prepare]:
    return {
        name: preparation(
            found.preprocessings[name], layout=model.contract.input_layout, dtype=model.contract.input.dtype
        )
        for name, model in found.models.items()
    }


def _exit_code(accuracy: Mapping[str, AccuracySection]) -> ExitCode:
    return ExitCode.worst(
        [section.judgement.deciding.exit_code for section in accuracy.values() if section.judgement is not None]
    )
