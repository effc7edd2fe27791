"""Assemble the report of a run from its measured files and its results."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from quantize.data.image_parts import Images
from quantize.graph.identity import weights_sha256
from quantize.measurement.machine.cpu import isa_flags
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.timing.measurement import Measurement
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry, load_catalog
from quantize.provenance import fingerprint, git_state, versions
from quantize.report.criterion import CriterionSection
from quantize.report.data import DataSection, FlipsSection, PreprocessingSection, SkippedImage
from quantize.report.flipped_images import flips_section
from quantize.report.graph import graph_section
from quantize.report.models import PublishedSection, Role, SourceSection
from quantize.report.provenance import Provenance, ReplaySection, Tool
from quantize.report.schema import RunReport
from quantize.run.all_cores import measured_on_all_cores, other_cores, seconds_on_all_cores
from quantize.run.build import Built
from quantize.run.float_layers import layers_in_float, operators_in_float
from quantize.run.gallery import with_likeliest
from quantize.run.judging import final_verdict
from quantize.run.left_out import notes_of_kept
from quantize.run.measuring import latency_plan, measure_anatomy, measure_models
from quantize.run.no_integers import reasons_for_no_integers
from quantize.run.plan import ALL_CORES
from quantize.run.repeat import replay_section
from quantize.run.request import RunRequest
from quantize.run.rewriting import rewrite_section
from quantize.run.settle import Settled

_LOG = logging.getLogger("quantize")

_PACKAGE = Path(__file__).resolve().parent
_NO_OTHERS: Mapping[str, ModelArtifact] = MappingProxyType({})
_ROLES: dict[str, Role] = {"fp32": "fp32", "qlinear": "int8", "qdq": "qdq"}
_NUMBERS = re.compile(r"-\d+(-.*)?$")


def run_report(settled: Settled, others: Mapping[str, ModelArtifact] = _NO_OTHERS) -> RunReport:
    """Measure the written files and return what was found.

    Args:
        settled: The files, what they come from, and what was found for them.
        others: Name to models that are timed with them.
    """
    built, judged = settled.built, settled.judged
    context, chosen, pair = built.context, built.chosen, built.pair
    stages, images, request, config = context.stages, context.images, context.request, context.config
    models = {"fp32": context.whole, "int8": pair.int8, "qdq": pair.qdq, **others}
    with stages.stage("benchmark"):
        measurement = _measured(built, models)
    all_cores = None
    if (cores := other_cores(config)) is not None:
        with stages.stage(ALL_CORES):
            all_cores = measured_on_all_cores(context, pair, cores)
    with stages.stage("memory and operators"):
        resources, operators = measure_anatomy(
            models,
            images.evaluation,
            images.preprocessing,
            measurement.plan,
            profiled="int8",
            recipe=chosen.recipe,
            effort=context.effort,
            progress=context.progress,
        )
    verdict = final_verdict(built, judged, measurement, {"int8": "int8", "qdq": "qdq"})
    no_integers = reasons_for_no_integers(settled)
    for sentence in no_integers:
        _LOG.warning("%s", sentence)
    return RunReport(
        verdict=verdict.model_copy(update={"reasons": (*verdict.reasons, *no_integers)}),
        criterion=CriterionSection.of(context.criterion, config.tuning.speed),
        engine=config.tuning.engine,
        source=source_section(request.model, context.source, context.entry),
        data=data_section(images, request),
        preprocessing=preprocessing_section(images),
        machine=context.machine,
        baseline=judged.baseline,
        models=judged.models,
        formats=judged.formats,
        chosen=chosen,
        placement=settled.placement,
        lost=settled.lost,
        no_integers=no_integers,
        layers=built.layers,
        layer_check=built.layer_check,
        input_contract=built.contract,
        scores=judged.scores,
        rewrites=tuple(rewrite_section(record) for record in built.rewritten.records),
        trials=built.findings.sections,
        search=built.findings.search,
        measurement=measurement,
        all_cores=all_cores,
        resources=resources,
        profile=operators,
        flips=_flips(built),
        graph=graph_section(context.model.proto()),
        replay=_replay(built),
        stages=stages.sections(),
        provenance=provenance(request, images),
        config=config.model_dump(mode="json"),
        notes=(
            *context.notes,
            *_in_float(settled),
            *notes_of_kept(built.rewritten.records),
            *config.notes,
        ),
    )


def _in_float(settled: Settled) -> tuple[str, ...]:
    notes = (*operators_in_float(settled.built), *layers_in_float(settled.built, settled.placement))
    for note in notes:
        _LOG.info("note: %s", note)
    return notes


def source_section(path: Path, artifact: ModelArtifact, entry: CatalogEntry | None) -> SourceSection:
    """Return what the report says of the model that the user gave."""
    return SourceSection(
        path=str(path),
        sha256=artifact.sha256,
        weights_sha256=weights_sha256(artifact.proto()),
        opset=artifact.opset,
        catalog=entry.name if entry is not None else None,
        published=published_figures(entry),
        input_layout=artifact.contract.input_layout,
        input_dtype=artifact.contract.input.dtype,
        output_dtype=artifact.contract.output.dtype,
    )


def published_figures(entry: CatalogEntry | None) -> tuple[PublishedSection, ...]:
    """Return the published accuracy of a catalog's model and of the quantized files of the same name.

    Args:
        entry: The fp32 model's entry, or None if its weights are not known.

    Raises:
        ConfigError: The user's own catalog is wrong.
    """
    if entry is None:
        return ()
    stem = _NUMBERS.sub("", entry.name)
    same = [other for other in load_catalog() if other.format != "fp32" and _NUMBERS.sub("", other.name) == stem]
    return tuple(
        PublishedSection(
            role=_ROLES[known.format],
            top1=known.published.top1,
            top5=known.published.top5,
            source=known.published.source,
        )
        for known in (entry, *same)
        if known.published is not None
    )


def data_section(images: Images, request: RunRequest) -> DataSection:
    """Return which images were used for what."""
    parts = images.split
    return DataSection(
        path=str(request.data),
        labels=str(request.labels) if request.labels is not None else None,
        labelled=images.crops.labels is not None,
        images=len(images.listed),
        calibration=len(parts.calibration),
        evaluation=len(parts.evaluation),
        certification=len(parts.certification),
        calibration_in_evaluation=request.config.quantization.calibration.in_evaluation,
        skipped=tuple(SkippedImage(id=image.id, reason=image.reason) for image in images.crops.skipped),
        demonstration=request.demonstration,
        notes=images.listed.notes,
    )


def preprocessing_section(images: Images) -> PreprocessingSection:
    """Return how an image becomes the model's input."""
    return PreprocessingSection.model_validate(images.preprocessing.model_dump())


def provenance(request: RunRequest, images: Images) -> Provenance:
    """Return the hashes and versions that decide the outcome."""
    state = git_state(_PACKAGE)
    return Provenance(
        tool=Tool(
            version=metadata.version("quantize"),
            git_commit=state[0] if state else None,
            git_dirty=state[1] if state else None,
        ),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=request.command,
        begun=request.begun,
        config_fingerprint=fingerprint(request.config.model_dump(mode="json")),
        data_fingerprint=images.crops.fingerprint,
        preprocessing_fingerprint=images.preprocessing.fingerprint,
        calibration_fingerprint=images.calibration.fingerprint,
        calibration_marks=tuple(sorted(images.calibration.marks)),
        versions=versions(),
        isa=tuple(isa_flags() or ()),
        cpu_class=this_cpu_class(),
    )


def _measured(built: Built, models: Mapping[str, ModelArtifact]) -> Measurement:
    context, images = built.context, built.context.images
    performance = context.config.evaluation.performance
    seconds = performance.max_seconds - seconds_on_all_cores(context.config)
    plan = latency_plan(models, performance, seed=context.config.tuning.random_seed, max_seconds=seconds)
    return measure_models(models, images.evaluation, images.preprocessing, plan, progress=context.progress)


def _flips(built: Built) -> FlipsSection:
    context, crops = built.context, built.context.images.evaluation
    flips = flips_section(
        context.selection.evaluate_baseline(context.model),
        context.selection.evaluate(built.pair.int8),
        role="int8",
        crops=crops,
        file=context.folder.path / "flips.csv",
        pictures=context.config.report.pictures,
    )
    return with_likeliest(context, flips, built.pair.int8)


def _replay(built: Built) -> ReplaySection | None:
    request, pair = built.context.request, built.pair
    if request.recorded is None or request.replay is None:
        return None
    hashes = {"int8": pair.int8.graph_sha256, "qdq": pair.qdq.graph_sha256}
    if built.context.folder.fp32 is not None:
        hashes["fp32"] = built.context.whole.graph_sha256
    return replay_section(request.replay, request.recorded, hashes)
