"""One run after its inputs are known to be good: search, then finish what was chosen."""

from __future__ import annotations

import logging

from quantize.criterion import Criterion
from quantize.engines.engine import engine_named, engines_for, missing_engines
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.errors import EngineError
from quantize.recipe import EngineName
from quantize.report.schema import RunReport
from quantize.run.baseline_check import checked_criterion
from quantize.run.context import Context
from quantize.run.engine_comparison import compare_engines
from quantize.run.engine_task import search_task
from quantize.run.evaluator import Evaluator
from quantize.run.input_contract import require_foldable
from quantize.run.judging import finish
from quantize.run.losses import with_losses
from quantize.run.ratios import Ratios
from quantize.run.resume import open_journal
from quantize.run.search import Found, Search
from quantize.run.settling import Settling
from quantize.run.stamping import stamp_models
from quantize.run.trial_journal import TrialJournal

_LOG = logging.getLogger("quantize")


def run(context: Context) -> RunReport:
    """Tune, write both formats, judge and measure them, and return what was found.

    Raises:
        QuantizeError: The baseline is no better than chance, or the engine failed.
    """
    require_foldable(context)
    selection = context.evaluator(context.images.evaluation, "evaluation")
    with context.stages.stage("evaluate fp32"):
        criterion = checked_criterion(context, selection)
    table = _recorded_latencies(context)
    journal = open_journal(context)
    trials = TrialJournal(journal, context.folder.work / "candidates")
    ratios = Ratios(journal, table.rewrites, table.profiles)
    recorded = None if context.request.latency_table is None else table
    task = search_task(context, criterion, selection, ratios, recorded)

    def search(name: EngineName) -> Search:
        return Search(engine_named(name), task, selection, trials)

    if context.recorded is not None:
        recipe = context.recorded.chosen.recipe
        with context.stages.stage("tune"):
            found = search(recipe.engine).built_again(recipe)
        report, used = _finished(context, found, None, criterion, selection, ratios), table
    else:
        asked = engines_for(context.config.tuning.engine)
        report, latencies = _searched(context, [search(name) for name in asked], criterion, selection, ratios)
        used = latencies or LatencyTable(model=context.model.graph_sha256)
    profiles = {**used.profiles, **ratios.used_profiles}
    used.model_copy(update={"rewrites": ratios.used, "profiles": profiles}).save(context.folder.latency_table)
    return report


def _searched(
    context: Context, searches: list[Search], criterion: Criterion, selection: Evaluator, ratios: Ratios
) -> tuple[RunReport, LatencyTable | None]:
    """Search with every engine; where all but one give no model, the run is that one's, and says so."""
    if len(searches) == 1 and context.config.tuning.engine != "all":
        (search,) = searches
        with context.stages.stage("tune"):
            found = search.run()
        return _finished(context, found, search, criterion, selection, ratios), found.latencies
    came_to: list[tuple[Search, Found]] = []
    failed: dict[EngineName, EngineError] = {}
    for search in searches:
        with context.stages.stage(f"tune with {search.engine.in_words}"):
            try:
                came_to.append((search, search.run_once()))
            except EngineError as error:
                failed[search.engine.name] = error
    for name, lost in failed.items():
        _LOG.warning("the engine '%s' gave no model: %s", name, lost)
    if not came_to:
        raise next(iter(failed.values()))
    latencies = next((found.latencies for _, found in came_to if found.latencies is not None), None)
    if len(came_to) > 1:
        report = compare_engines(context, came_to, criterion, selection, ratios)
    else:
        ((search, found),) = came_to
        report = _finished(context, found, search, criterion, selection, ratios)
    why = [f"The engine '{name}' gave no model: {lost.problem}." for name, lost in failed.items()]
    if context.config.tuning.engine == "all":
        why += [f"The engine '{name}' is not installed: {lost.problem}." for name, lost in missing_engines().items()]
    verdict = report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, *why)})
    return report.model_copy(update={"verdict": verdict}), latencies


def _finished(
    context: Context, found: Found, search: Search | None, criterion: Criterion, selection: Evaluator, ratios: Ratios
) -> RunReport:
    settled = Settling(context, criterion, selection, ratios).settle(found, search)
    written = settled.written
    report = finish(written.context, written.built, settled.judged, criterion, written.selection).model_copy(
        update={
            "layers": written.layers,
            "input_contract": written.contract,
            "placement": settled.placement,
            "lost": settled.lost,
        }
    )
    return stamp_models(with_losses(report), context.folder)


def _recorded_latencies(context: Context) -> LatencyTable:
    path, model = context.request.latency_table, context.model.graph_sha256
    return LatencyTable(model=model) if path is None else LatencyTable.load(path, model)
