"""Check everything that the user could have got wrong, before anything of an earlier run is replaced."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnx import ModelProto

from quantize.config.run_config import PreprocessingBlock
from quantize.criterion import Criterion
from quantize.data.containers.registry import open_images
from quantize.data.image_parts import load_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.engines.engine import engine_named, engines_for
from quantize.errors import ConfigError, ModelError, RunError
from quantize.evaluation.evaluation import near_chance
from quantize.evaluation.preset_probe import probe_presets, refuse_chance
from quantize.lock import refuse_held
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry, catalog_entry_for
from quantize.models.prepare import prepare_whole
from quantize.models.refusals import refuse_unsuitable
from quantize.models.versions import known_opset
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.processes.pool import available_cpus
from quantize.progress import Progress
from quantize.report.schema import RunReport
from quantize.rewrites import select_rewrites
from quantize.run.context import Prepared, Stages
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder, plan_run, refuse_to_write_over
from quantize.run.links import refuse_links_that_leave
from quantize.run.measuring import machine_section
from quantize.run.outlook import Outlook
from quantize.run.quick import sample
from quantize.run.request import RunRequest
from quantize.run.taken import taken_form, taken_model
from quantize.run.work import work_of

_LOG = logging.getLogger("quantize")

_READ, _MEASURE, _DECODE = "read the model and list the images", "measure what this CPU can gain", "decode the images"


@dataclass(frozen=True)
class Inputs:
    """A run's inputs, read but not yet decoded.

    Attributes:
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        listed: The images that the run takes.
        found: How many there are.
        preprocessing: How images become the model's input.
        float_model: What the run works on where that is not the file's own model, see ``taken_model``. A large model
            is read again rather than held beside its copies.
        notes: What a reader should know of how the model was taken.
    """

    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    listed: ImageSet
    found: int
    preprocessing: Preprocessing
    float_model: ModelProto | None
    notes: tuple[str, ...]


def read_inputs(request: RunRequest, stages: Stages) -> Inputs:
    """Return what a run reads, and refuse what cannot go well; nothing is written.

    Raises:
        QuantizeError: A setting is wrong, the engine is missing, the model or the images are unsuitable, something is
            in the way, or another run is at work in the same place.
    """
    config, where = request.config, str(request.model)
    select_rewrites(config.rewrites)  # a wrong name is reported at once, not after the search
    engines = engines_for(config.tuning.engine)
    if request.recorded is None and not request.resume:
        for name in engines:
            engine_named(name).require()
    with stages.stage(_READ):
        prove(
            request.model,
            Bounds.of(config.model),
            score_output=config.model.score_output,
            prepares=True,
            form=partial(taken_form, where=where, requantize=config.model.requantize, engines=engines),
        )
        source = ModelArtifact.load(request.model, score_output=config.model.score_output)
        folder = plan_run(
            request.output,
            stem=request.model.stem,
            opset=known_opset(source.opset),
            first_format="qdq" if config.model.framework == "onnxrt_qdq" else "qlinear",
            input_contract=config.input_contract,
            engines=engines if len(engines) > 1 and request.recorded is None else (),
        )
        refuse_links_that_leave(folder.path)
        refuse_held(folder.work)
        refuse_to_write_over(folder, request.model, overwrite=request.overwrite or request.resume)
        given = source.proto()
        taken = taken_model(given, where=where, requantize=config.model.requantize, engines=engines)
        refuse_unsuitable(
            taken.model, where, score_output=config.model.score_output
        )  # before what only a suitable model could be asked
        contract = source.contract
        found = open_images(
            request.data, request.labels, classes=contract.classes, several=contract.may_have_several_labels
        )
        listed = sample(found, config, request.calibration_list)
        entry = catalog_entry_for(given)
        preprocessing = preprocessing_for(source, config.preprocessing, entry)
        float_model = None if taken.is_the_files else taken.model
        return Inputs(folder, source, entry, listed, len(found), preprocessing, float_model, taken.notes)


def prepare_run(
    request: RunRequest,
    inputs: Inputs,
    stages: Stages,
    progress: Progress,
    *,
    crops: Path | None = None,
    expectation: bool = True,
    outlook: Outlook | None = None,
) -> Prepared:
    """Prepare the fp32 model and decode the images; only the work folder is written to.

    Args:
        request: What the run does.
        inputs: What it reads.
        stages: Timed stages.
        progress: Receives the progress of everything that takes long.
        crops: Folder of decoded images; None: the run's own.
        expectation: Whether it is estimated what int8 gains on this machine.
        outlook: Takes what the run has to do, and tells the plan; None: nobody asks.

    Raises:
        QuantizeError: The model or an image is unsuitable, or they are not those of the report that is repeated.
    """
    config, folder = request.config, inputs.folder
    with stages.stage(_READ):
        clean = prepare_whole(
            request.model,
            folder.work / "fp32.onnx",
            opset=13,
            score_output=config.model.score_output,
            model=inputs.float_model,
            of_labels=inputs.listed.label_count is not None,
        )
    for note in clean.notes:
        _LOG.info("note: %s", note)
    machine = None
    if expectation:
        with stages.stage(_MEASURE):
            threads = config.evaluation.performance.configs.cores_per_instance
            machine = machine_section(request.model.stem, clean.model, threads, config.quantization.cpus)
        _LOG.info("%s", machine.line)
        if outlook is not None:
            count, side = len(inputs.listed), inputs.preprocessing.side
            work = work_of(request, clean.model, machine, images=count, side=side)
            if work is not None:
                outlook.expect(work, resumed=request.resume)
    with stages.stage(_DECODE):
        images = load_images(
            inputs.listed,
            inputs.preprocessing,
            crops or folder.work / "crops",
            calibration_size=config.quantization.calibration.sampling_size,
            in_evaluation=config.quantization.calibration.in_evaluation,
            certification=config.tuning.certification,
            seed=config.tuning.random_seed,
            calibration_list=request.calibration_list,
            skip_unreadable=request.skip_unreadable,
            workers=request.workers,
            progress=progress,
        )
    if request.recorded is not None:
        _require_same_inputs(request.recorded, inputs.source, images.calibration.fingerprint)
    return Prepared(
        request=request,
        folder=folder,
        source=inputs.source,
        entry=inputs.entry,
        model=clean.model,
        whole=clean.whole,
        ending=clean.ending,
        form=clean.form,
        images=images,
        stages=stages,
        progress=progress,
        machine=machine,
        notes=(*inputs.notes, *_notes(clean.floats), *clean.notes),
    )


def _notes(floats: tuple[str, ...]) -> tuple[str, ...]:
    if not floats:
        return ()
    return (
        f"The model is in {' and '.join(floats)}. It is converted to float32, and that is what everything is compared "
        "with; the files take and give the types that the model does.",
    )


def checked_criterion(context: Prepared, selection: Evaluator) -> Criterion:
    """Evaluate the fp32 model, refuse it where its scores make no sense, and return the criterion.

    Raises:
        DataError: It is no better than chance; the message names the preset that fits.
        ModelError: It gives every image the same scores.
    """
    baseline = selection.evaluate_baseline(context.model)
    asks = context.request.judges_accuracy
    if asks and baseline.constant_output:
        raise ModelError(
            "the fp32 model gives every image the same scores",
            where=str(context.request.model),
            expected="scores that depend on the image",
            advice="check that the file holds the trained weights; --criterion none goes on without a verdict",
        )
    if asks and baseline.labelled and near_chance(baseline):
        fits = probe_presets(
            context.model,
            context.images.listed,
            context.folder.work / "crops",
            threads=available_cpus(),
            workers=context.request.workers,
            progress=context.progress,
        )
        refuse_chance(baseline, asked_for=context.images.preprocessing.preset, fits=fits)
    expected = baseline.accuracy if baseline.labelled else None
    return context.config.tuning.accuracy_criterion.criterion(expected, asked=asks, metric=baseline.metric)


def _require_same_inputs(report: RunReport, source: ModelArtifact, calibration_fingerprint: str) -> None:
    """Refuse to repeat a run with another model or other calibration images.

    Raises:
        RunError: They are not those of the report.
    """
    pairs = (
        ("model", report.source.sha256, source.sha256, "--input_model"),
        ("calibration images", report.provenance.calibration_fingerprint, calibration_fingerprint, "--data_path"),
    )
    for what, recorded, given, flag in pairs:
        if recorded != given:
            raise RunError(
                f"this is not the run's {what}",
                where=flag,
                found=given[:16],
                expected=f"{recorded[:16]}, as in the report",
                advice=f"name the same {what} as in the run that is repeated",
            )


def preprocessing_for(model: ModelArtifact, settings: PreprocessingBlock, entry: CatalogEntry | None) -> Preprocessing:
    """Return the requested preprocessing, or the catalog's for known weights, sized for the model.

    Raises:
        ConfigError: Nothing is asked for and the weights are not known, or the sizes do not fit the model.
    """
    given = settings.given()
    if "preset" not in given and entry is not None:  # not every known one has a preset's name
        given = {**entry.preprocessing, **given}
    if not given:
        raise ConfigError(
            "no preprocessing is named, and this model's weights are not known",
            where=str(model.path),
            expected=f"preprocessing.preset, one of: {', '.join(PRESETS)}",
            advice="pass --preset with the one that the model was trained with; a wrong one costs nearly all accuracy",
        )
    contract = model.contract
    return choose_preprocessing(given, contract.channels).for_input(contract.image_size, contract.channels)
