"""From two written files to what was found for them, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from quantize.criterion import Criterion
from quantize.measurement.timing.measurement import Measurement
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.report.criterion import CriterionSection, VerdictSection
from quantize.report.models import FormatsSection, ModelSection, Role
from quantize.report.replay import ReplaySection
from quantize.report.schema import RunReport
from quantize.run.anatomy import measure_anatomy
from quantize.run.build import Built
from quantize.run.context import Context
from quantize.run.evaluations import Jury
from quantize.run.evaluator import Evaluator
from quantize.run.export import Pair, compare_formats
from quantize.run.flips import flips_section
from quantize.run.measuring import latency_plan, measure_models
from quantize.run.replay import replay_section
from quantize.run.rewriting import rewrite_section
from quantize.run.sections import (
    data_section,
    preprocessing_section,
    provenance,
    source_section,
)
from quantize.run.speed import speed_verdict
from quantize.run.verdict import verdict_section

_NO_OTHERS: Mapping[str, ModelArtifact] = MappingProxyType({})


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


def judge(context: Context, built: Built, criterion: Criterion, selection: Evaluator) -> Judged:
    """Evaluate both files and hold them against the criterion."""
    pair, images = built.pair, context.images
    with context.stages.stage("evaluate the written files"):
        formats = compare_formats(pair, context.batches(images.evaluation), threads=available_cpus())
        baseline, models = _jury(context, criterion, selection).judge((("int8", pair.int8), ("qdq", pair.qdq)))
    verdict = verdict_section(
        criterion,
        models,
        formats,
        built.chosen,
        stopped_because=built.found.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=baseline.bytes,
    )
    return Judged(baseline, models, formats, verdict)


def final_verdict(
    context: Context,
    built: Built,
    judged: Judged,
    criterion: Criterion,
    measurement: Measurement,
    names: Mapping[Role, str],
) -> VerdictSection:
    """Return the verdict on a pair of files that has been timed.

    Args:
        context: The run.
        built: The files and what they come from.
        judged: What ``judge`` found for them.
        criterion: What was asked.
        measurement: Holds both files and fp32.
        names: Role of each file to its name in the measurement.
    """
    speed = speed_verdict(
        measurement,
        names,
        context.config.tuning.speed,
        built.chosen.target,
        asked=criterion.metric != "none",
    )
    search = built.found.search
    met = [one.speedup for one in search.candidates if one.met and one.speedup is not None] if search else []
    return verdict_section(
        criterion,
        judged.models,
        judged.formats,
        built.chosen,
        stopped_because=built.found.stopped_because,
        demonstration=context.request.demonstration,
        fp32_bytes=judged.baseline.bytes,
        speed=speed,
        fastest=max(met, default=None),
    )


def finish(
    context: Context,
    built: Built,
    judged: Judged,
    criterion: Criterion,
    selection: Evaluator,
    others: Mapping[str, ModelArtifact] = _NO_OTHERS,
) -> RunReport:
    """Measure the written files and return what was found.

    Args:
        context: The run; its model and preprocessing are those of the written files' input.
        built: The files and what they come from.
        judged: What ``judge`` found for them.
        criterion: What was asked.
        selection: Evaluates on the images that trials saw.
        others: Name to models that are timed beside them.
    """
    stages, images = context.stages, context.images
    found, rewritten, chosen, pair = built.found, built.rewritten, built.chosen, built.pair
    with stages.stage("benchmark"):
        measurement = _measure(context, pair, others)
    with stages.stage("memory and operators"):
        resources, operators = measure_anatomy(
            {"fp32": context.model, "int8": pair.int8, "qdq": pair.qdq, **others},
            images.evaluation,
            images.preprocessing,
            measurement.plan,
            profiled="int8",
            recipe=chosen.recipe,
            progress=context.progress,
        )
    config, request = context.config, context.request
    return RunReport(
        verdict=final_verdict(context, built, judged, criterion, measurement, {"int8": "int8", "qdq": "qdq"}),
        criterion=CriterionSection.of(criterion, config.tuning.speed),
        engine=config.tuning.engine,
        source=source_section(request.model, context.source, context.entry),
        data=data_section(images, request),
        preprocessing=preprocessing_section(images),
        baseline=judged.baseline,
        models=judged.models,
        formats=judged.formats,
        chosen=chosen,
        rewrites=tuple(rewrite_section(record) for record in rewritten.records),
        trials=found.sections,
        search=found.search,
        measurement=measurement,
        resources=resources,
        profile=operators,
        flips=flips_section(
            selection.evaluate_baseline(context.model),
            selection.evaluate(pair.int8),
            role="int8",
            crops=images.evaluation,
            file=context.folder.path / "flips.csv",
        ),
        replay=_replay(context, pair),
        stages=stages.sections(),
        provenance=provenance(request, images),
        machine=context.machine,
        config=config.model_dump(mode="json"),
        notes=config.notes,
    )


def _jury(context: Context, criterion: Criterion, selection: Evaluator) -> Jury:
    kept = context.images.certification
    return Jury(
        baseline=context.model,
        selection=selection,
        certification=context.evaluator(kept, "certification") if kept is not None else None,
        criterion=criterion,
        seed=context.config.tuning.random_seed,
        folder=context.folder,
    )


def _measure(context: Context, pair: Pair, others: Mapping[str, ModelArtifact]) -> Measurement:
    models = {"fp32": context.model, "int8": pair.int8, "qdq": pair.qdq, **others}
    plan = latency_plan(
        models,
        context.config.evaluation.performance,
        seed=context.config.tuning.random_seed,
        max_seconds=context.config.evaluation.performance.max_seconds,
    )
    images = context.images
    return measure_models(models, images.evaluation, images.preprocessing, plan, progress=context.progress)


def _replay(context: Context, pair: Pair) -> ReplaySection | None:
    request = context.request
    if request.recorded is None or request.replay is None:
        return None
    hashes = {"int8": pair.int8.graph_sha256, "qdq": pair.qdq.graph_sha256}
    if context.folder.fp32 is not None:
        hashes["fp32"] = context.model.graph_sha256
    return replay_section(request.replay, request.recorded, hashes)
