"""Everything that the user could have got wrong, checked before anything of an earlier run is replaced."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from quantize.data.image_set import ImageSet
from quantize.data.images import open_images
from quantize.data.preprocessing import Preprocessing
from quantize.engines.engine import engine_named, engines_for
from quantize.journal import refuse_held
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.model_layers import model_layers
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry, catalog_entry_for
from quantize.models.prepare import prepare
from quantize.models.refusals import refuse_unsuitable
from quantize.progress import Progress
from quantize.report.machine import MachineSection
from quantize.rewrites import select_rewrites
from quantize.run.context import Prepared, Stages
from quantize.run.folder import RunFolder, plan_run, refuse_to_write_over
from quantize.run.images import load_images, preprocessing_for
from quantize.run.replay import require_same_inputs
from quantize.run.request import RunRequest
from quantize.target import CpuClass

_LOG = logging.getLogger("quantize")

_READ, _MEASURE, _DECODE = "read the model and list the images", "measure what this CPU can gain", "decode the images"


@dataclass(frozen=True)
class Inputs:
    """A run's inputs, read but not yet decoded.

    Attributes:
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        listed: The images.
        preprocessing: How images become the model's input.
    """

    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    listed: ImageSet
    preprocessing: Preprocessing


def read_inputs(request: RunRequest, stages: Stages) -> Inputs:
    """Return what a run reads, and refuse what cannot go well; nothing is written.

    Raises:
        QuantizeError: A setting is wrong, the engine is missing, the model or the images are unsuitable, something is
            in the way, or another run is at work in the same place.
    """
    config = request.config
    select_rewrites(config.rewrites)  # a wrong name is reported at once, not after the search
    engines = engines_for(config.tuning.engine)
    if request.recorded is None and not request.resume:
        for name in engines:
            engine_named(name).require()
    with stages.stage(_READ):
        source = ModelArtifact.load(request.model)
        folder = plan_run(
            request.output,
            stem=request.model.stem,
            opset=source.opset,
            first_format="qdq" if config.model.framework == "onnxrt_qdq" else "qlinear",
            input_contract=config.input_contract,
            engines=engines if len(engines) > 1 and request.recorded is None else (),
        )
        refuse_held(folder.work)
        refuse_to_write_over(folder, request.model, overwrite=request.overwrite or request.resume)
        refuse_unsuitable(source.proto(), str(request.model))  # before what only a suitable model could be asked
        listed = open_images(request.data, request.labels, classes=source.contract.classes)
        entry = catalog_entry_for(source.proto())
        return Inputs(folder, source, entry, listed, preprocessing_for(source, config.preprocessing, entry))


def prepare_run(
    request: RunRequest,
    inputs: Inputs,
    stages: Stages,
    progress: Progress,
    *,
    crops: Path | None = None,
    expectation: bool = True,
) -> Prepared:
    """Prepare the fp32 model and decode the images; only the work folder is written to.

    Args:
        request: What the run does.
        inputs: What it reads.
        stages: Timed stages.
        progress: Receives the progress of everything that takes long.
        crops: Folder of decoded images; None: the run's own.
        expectation: Whether it is estimated what int8 gains on this machine.

    Raises:
        QuantizeError: The model or an image is unsuitable, or they are not those of the report that is repeated.
    """
    config, folder = request.config, inputs.folder
    with stages.stage(_READ):
        model = prepare(request.model, folder.work / "fp32.onnx", opset=13)
    machine = None
    if expectation:
        with stages.stage(_MEASURE):
            threads = config.evaluation.performance.configs.cores_per_instance
            machine = machine_section(request.model.stem, model, threads, config.quantization.cpus)
        _LOG.info("%s", machine.line)
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
        require_same_inputs(request.recorded, inputs.source, images.calibration.fingerprint)
    return Prepared(
        request=request,
        folder=folder,
        source=inputs.source,
        entry=inputs.entry,
        model=model,
        images=images,
        stages=stages,
        progress=progress,
        machine=machine,
    )


def machine_section(name: str, model: ModelArtifact, threads: int, target: CpuClass) -> MachineSection:
    """Return this CPU and what int8 is expected to gain in a model; measured now where it was not before.

    Args:
        name: The model's name for the line.
        model: The prepared fp32 model.
        threads: Threads that the model is measured on.
        target: The class of CPUs that the int8 model is for.
    """
    machine = measure_cpu.this_machine(threads).machine
    expectation = expected(name, model_layers(model.proto()), machine, threads)
    return MachineSection(machine=machine, target=target, threads=threads, expectation=expectation)
