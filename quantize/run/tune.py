"""The main job: from an fp32 model and images to two int8 models and a report."""

from __future__ import annotations

import logging
from pathlib import Path

from quantize.data.crops.cache import remove_crops
from quantize.files import write_text
from quantize.journal import run_lock
from quantize.progress import Progress, silent
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report, write_report
from quantize.run.context import Stages
from quantize.run.folder import RunFolder, refuse_to_write_over
from quantize.run.preflight import prepare_run, read_inputs
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.resolve import resolve
from quantize.run.resume import resumed_request
from quantize.run.target import target_in_words
from quantize.run.tuning_run import run
from quantize.run.verdict import exit_code

__all__ = ["TuneRequest", "TuneResult", "tune"]

_LOG = logging.getLogger("quantize")


def tune(request: TuneRequest, *, progress: Progress = silent) -> TuneResult:
    """Quantize a model so that it meets the accuracy criterion, and report what that gave.

    Everything that the user could have got wrong is checked before anything of an earlier run is replaced.

    With ``resume``, an interrupted run goes on after its last finished step, and a finished one is read again.

    Raises:
        QuantizeError: Something that the user can fix; its children say what.
    """
    request = resumed_request(request)
    if request.resume is not None and (request.resume / "report.json").is_file():
        return _result(request.resume, read_report(request.resume / "report.json"))
    asked = resolve(request, progress)
    _LOG.info("%s", target_in_words(asked.config))
    stages = Stages()
    inputs = read_inputs(asked, stages)
    folder = inputs.folder
    with run_lock(folder.work):
        # Another run may have ended in the same place since it was looked at.
        refuse_to_write_over(folder, asked.model, overwrite=asked.overwrite or asked.resume)
        report = run(prepare_run(asked, inputs, stages, progress))
        if asked.remove_crops:
            remove_crops(folder.work / "crops")
        _write(report, folder)
    return _result(folder.path, report)


def _write(report: RunReport, folder: RunFolder) -> None:
    write_text(folder.markdown, markdown(report))
    write_text(folder.html, html(report))
    write_report(report, folder.report)  # last: a folder with a report is a whole run


def _result(run: Path, report: RunReport) -> TuneResult:
    return TuneResult(run=run, report=report, exit_code=exit_code(report.verdict, report.replay))
