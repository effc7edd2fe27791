"""The main job: from an fp32 model and images to two int8 models and a report."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from quantize.data.crops.cache import remove_crops
from quantize.data.images import open_images
from quantize.engines.engine import engine_named, engines_for
from quantize.files import write_text
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.prepare import prepare
from quantize.models.refusals import refuse_unsuitable
from quantize.progress import Progress, silent
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report, write_report
from quantize.rewrites import select_rewrites
from quantize.run.context import Context
from quantize.run.expectation import machine_section
from quantize.run.folder import plan_run
from quantize.run.paths import decide, refuse_to_write_over_the_input
from quantize.run.preflight import load_images, preprocessing_for
from quantize.run.rebuilding import require_same_inputs
from quantize.run.replay import replayed_request
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.request_file import resumed, write_request
from quantize.run.stages import Stages
from quantize.run.target import target_in_words, with_target
from quantize.run.tuning_run import run
from quantize.run.verdict import exit_code

__all__ = ["TuneRequest", "TuneResult", "tune"]

_LOG = logging.getLogger("quantize")


def tune(request: TuneRequest, *, progress: Progress = silent) -> TuneResult:
    """Quantize a model so that it meets the accuracy criterion, and report what that gave.

    Everything that the user could have got wrong is checked before anything of an earlier run is replaced.

    With ``resume``, an interrupted run goes on after its last finished step, and a finished one is read again.

    Raises:
        QuantizeError: Something that the user can mend: see its children.
    """
    request = resumed(request)
    if request.resume is not None and (request.resume / "report.json").is_file():
        return _result(request.resume, read_report(request.resume / "report.json"))
    request, recorded = replayed_request(request)
    request = replace(request, config=with_target(request.config))
    _LOG.info("%s", target_in_words(request.config))
    stages, config = Stages(), request.config
    select_rewrites(config.rewrites)  # a wrong name is told at once, not after the search
    engines = engines_for(config.tuning.engine)
    if recorded is None and request.resume is None:
        for name in engines:
            engine_named(name).require()  # before anything is fetched, decoded or written
    with stages.stage("read the model and list the images"):
        asked = decide(request, progress)
        source = ModelArtifact.load(asked.model)
        folder = plan_run(
            asked.output,
            stem=asked.model.stem,
            opset=source.opset,
            first_format="qdq" if config.model.framework == "onnxrt_qdq" else "qlinear",
            overwrite=request.overwrite or request.resume is not None,
            input_contract=config.input_contract,
            engines=engines if len(engines) > 1 and recorded is None else (),
        )
        refuse_to_write_over_the_input(folder, asked.model)
        refuse_unsuitable(source.proto(), str(asked.model))  # before what only a suitable model could be asked
        listed = open_images(asked.data, asked.labels, classes=source.contract.classes)
        entry = catalog_entry_for(source.proto())
        preprocessing = preprocessing_for(source, config.preprocessing, entry)
        if request.resume is None and not folder.report.exists():  # else the earlier run stays whole for now
            write_text(folder.config, config.to_yaml())
            write_request(asked, folder.work)
        model = prepare(asked.model, folder.work / "fp32.onnx", opset=13)
    with stages.stage("measure what this CPU can gain"):
        threads = config.evaluation.performance.configs.cores_per_instance
        machine = machine_section(asked.model.stem, model, threads, config.quantization.cpus)
    _LOG.info("%s", machine.line)
    with stages.stage("decode the images"):
        images = load_images(
            listed,
            preprocessing,
            folder.work / "crops",
            calibration_size=config.quantization.calibration.sampling_size,
            in_evaluation=config.quantization.calibration.in_evaluation,
            certification=config.tuning.certification,
            seed=config.tuning.random_seed,
            calibration_list=asked.calibration_list,
            skip_unreadable=request.skip_unreadable,
            workers=request.workers,
            progress=progress,
        )
    if recorded is not None:
        require_same_inputs(recorded, source, images.calibration.fingerprint)
    report = run(Context(asked, folder, source, entry, model, images, stages, progress, recorded))
    report = report.model_copy(update={"machine": machine})
    write_text(folder.markdown, markdown(report))
    write_text(folder.html, html(report))
    if request.remove_crops:
        remove_crops(folder.work / "crops")
    write_report(report, folder.report)  # last: a folder with a report is a whole run
    return _result(folder.path, report)


def _result(run: Path, report: RunReport) -> TuneResult:
    return TuneResult(run=run, report=report, exit_code=exit_code(report.verdict, report.replay))
