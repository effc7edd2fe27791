"""The main job of a run, in order: from an fp32 model and images to two int8 models and a report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from quantize.data.crops.cache import remove_crops
from quantize.engines.engine import engine_named, engines_for, missing_engines
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.errors import EngineError
from quantize.evaluation.evaluate import EvaluationPass, evaluate
from quantize.files import remove_leftovers, write_text
from quantize.lock import run_lock
from quantize.processes.memory import keep_little_unused
from quantize.progress import Progress, silent
from quantize.recipe import EngineName
from quantize.report.conclusion import conclusion
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report, write_report
from quantize.run.broken_off import told_how_to_go_on
from quantize.run.build import remember_decisions
from quantize.run.context import Context, Prepared, Ratios, Stages
from quantize.run.engine_comparison import compare_engines
from quantize.run.engine_task import search_task
from quantize.run.export import stamp_all
from quantize.run.folder import RunFolder, refuse_to_write_over
from quantize.run.input_contract import require_foldable
from quantize.run.outlook import Outlook
from quantize.run.plan import REPORT
from quantize.run.preflight import checked_criterion, prepare_run, read_inputs
from quantize.run.quick import told_rough
from quantize.run.report import run_report
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.resolve import resolve, target_in_words
from quantize.run.resume import open_journal, resumed_request
from quantize.run.search import Findings, Search
from quantize.run.settle import settle
from quantize.run.space import check_space
from quantize.run.verdict import exit_code, with_losses

__all__ = ["TuneRequest", "TuneResult", "tune"]

_LOG = logging.getLogger("quantize")


def tune(request: TuneRequest, *, progress: Progress = silent, all_images: EvaluationPass = evaluate) -> TuneResult:
    """Quantize a model so that it meets the accuracy criterion, and report what that gave.

    Everything that the user could have got wrong is checked before anything of an earlier run is replaced.

    With ``resume``, an interrupted run resumes after its last finished step, and a finished one is read again.

    With glibc, this process returns large blocks of memory as they are freed from then on.

    Args:
        request: What to do.
        progress: Receives the progress of everything that takes long.
        all_images: Makes a pass over all evaluation images: here, or shared out.

    Raises:
        QuantizeError: Something that the user can fix; its children say what.
    """
    request = resumed_request(request)
    if request.resume is not None and (request.resume / "report.json").is_file():
        return _result(request.resume, read_report(request.resume / "report.json"))
    asked = resolve(request, progress)
    _LOG.info("%s", target_in_words(asked.config))
    keep_little_unused()
    outlook = Outlook(progress)
    stages = Stages(outlook.begin, outlook.end)
    inputs = read_inputs(asked, stages)
    found = inputs.found
    config = asked.config
    folder = inputs.folder
    check_space(asked, inputs)
    with run_lock(folder.work) as still_held, told_how_to_go_on(folder):
        remove_leftovers(folder.path, folder.work, folder.work / "candidates")
        # Another run may have ended in the same place since it was looked at.
        refuse_to_write_over(folder, asked.model, overwrite=asked.overwrite or asked.resume)
        prepared = replace(prepare_run(asked, inputs, stages, outlook, outlook=outlook), all_images=all_images)
        del inputs  # the model as it was read, which is prepared now
        outlook.expect_unseen(len(prepared.images.split.certification))
        times = _recorded_times(prepared)
        context = _judged(prepared, times)
        report, latencies = _searched(context, times)
        still_held()
        if config.tuning.quick:
            report = told_rough(report, found)
        report = stamp_all(report, folder)
        report = report.model_copy(update={"conclusion": conclusion(report)})
        context.ratios.added_to(latencies).save(folder.latency_table)
        if asked.remove_crops:
            remove_crops(folder.work / "crops")
        still_held()
        with stages.stage(REPORT):
            _write(report, folder, still_held)
    return _result(folder.path, report)


def _recorded_times(prepared: Prepared) -> LatencyTable:
    """Return the times of an earlier run to decide by; an empty table where none are named."""
    path, model = prepared.request.latency_table, prepared.model.graph_sha256
    return LatencyTable(model=model) if path is None else LatencyTable.load(path, model)


def _judged(prepared: Prepared, times: LatencyTable) -> Context:
    """Return the run with what its candidates are judged by; from here on, it replaces an earlier run or continues it.

    Raises:
        QuantizeError: The baseline is no better than chance, or the input contract cannot be had.
    """
    require_foldable(prepared)
    selection = prepared.evaluator(prepared.images.evaluation, "evaluation")
    with prepared.stages.stage("evaluate fp32"):
        criterion = checked_criterion(prepared, selection)
    return prepared.judged_by(criterion, selection, Ratios(open_journal(prepared), times.rewrites, times.profiles))


def _searched(context: Context, times: LatencyTable) -> tuple[RunReport, LatencyTable]:
    """Search with every requested engine, or build the recorded recipe again, and report the best files."""
    setting, nothing = context.config.tuning.engine, LatencyTable(model=context.model.graph_sha256)
    task = search_task(context, None if context.request.latency_table is None else times)
    if context.recorded is not None:
        recipe = context.recorded.chosen.recipe
        with context.stages.stage("tune"):
            findings = Search(engine_named(recipe.engine), task, context).repeat(recipe)
        remember_decisions(context.ratios.journal, recipe)
        return with_losses(run_report(settle(context, findings, None))), times
    searches = [Search(engine_named(name), task, context) for name in engines_for(setting)]
    if len(searches) == 1 and setting != "all":
        (search,) = searches
        with context.stages.stage("tune"):
            findings = search.run()
        return with_losses(run_report(settle(context, findings, search))), findings.latencies or nothing
    came_to, failed = _with_every_engine(context, searches)
    if len(came_to) > 1:
        report = with_losses(compare_engines(context, came_to))
    else:
        ((search, findings),) = came_to
        report = with_losses(run_report(settle(context, findings, search)))
    why = [f"The engine '{name}' gave no model: {lost.problem}." for name, lost in failed.items()]
    if setting == "all":
        why += [f"The engine '{name}' is not installed: {lost.problem}." for name, lost in missing_engines().items()]
    verdict = report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, *why)})
    latencies = next((findings.latencies for _, findings in came_to if findings.latencies is not None), nothing)
    return report.model_copy(update={"verdict": verdict}), latencies


def _with_every_engine(
    context: Context, searches: Sequence[Search]
) -> tuple[list[tuple[Search, Findings]], dict[EngineName, EngineError]]:
    """Return what the engines came to that gave a model, and the errors of the others.

    Raises:
        EngineError: None gave a model.
    """
    came_to: list[tuple[Search, Findings]] = []
    failed: dict[EngineName, EngineError] = {}
    for search in searches:
        with context.stages.stage(f"tune with {search.engine.in_words}"):
            try:
                came_to.append((search, search.run()))
            except EngineError as error:
                failed[search.engine.name] = error
    for name, lost in failed.items():
        _LOG.warning("the engine '%s' gave no model: %s", name, lost)
    if not came_to:
        raise next(iter(failed.values()))
    return came_to, failed


def _write(report: RunReport, folder: RunFolder, still_held: Callable[[], None]) -> None:
    texts = {folder.markdown: markdown(report), folder.html: html(report)}
    still_held()  # drawing takes seconds, and writing would make the folder anew: one with a report and no models
    for path, text in texts.items():
        write_text(path, text)
    still_held()
    write_report(report, folder.report)  # last: a folder with a report is a whole run


def _result(run: Path, report: RunReport) -> TuneResult:
    return TuneResult(run=run, report=report, exit_code=exit_code(report.verdict, report.replay))
