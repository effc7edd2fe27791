"""One run after its inputs are known to be good: search, then finish what was chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable

from quantize.criterion import Criterion
from quantize.engines.native.search.journal import Journal
from quantize.engines.native.search.latency_table import LatencyTable
from quantize.errors import EngineError
from quantize.recipe import Recipe
from quantize.report.schema import RunReport
from quantize.run.baseline_check import checked_criterion
from quantize.run.context import Context
from quantize.run.engine_comparison import Engine, compare_engines
from quantize.run.engine_journal import once, recorded_once
from quantize.run.evaluator import Evaluator
from quantize.run.inc_engine import tune_with_inc, weighted_int8
from quantize.run.input_contract import require_foldable
from quantize.run.judging import finish
from quantize.run.losses import with_losses
from quantize.run.native_engine import NativeEngine
from quantize.run.ratios import Ratios
from quantize.run.rebuilding import found_again
from quantize.run.run_journal import open_journal
from quantize.run.search import Found, Search
from quantize.run.settling import GoOn, Settling
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
    proto = context.model.proto()

    def integer_share(recipe: Recipe) -> float | None:
        int8, weighted = weighted_int8(recipe, proto)
        return int8 / weighted if weighted else None

    def search(engine: str) -> Search:
        earlier = trials.earlier(engine) if engine == "inc" else ()
        return Search(criterion, selection, integer_share, trials, earlier)

    ratios = Ratios(journal, table.rewrites, table.profiles)

    engines: dict[str, NativeEngine] = {}

    def go_on(found: Found, rejected: frozenset[str]) -> Found | None:
        native = engines.get(found.chosen.recipe.engine)
        if native is not None:
            return native.after(found, rejected)
        return _searched_on(context, found, search, rejected)

    engine = context.config.tuning.engine
    if engine == "both" and context.recorded is None:
        report, used = _both(context, criterion, selection, ratios, search, go_on, table, journal, engines)
    else:
        with context.stages.stage("tune"):
            one, used = _found(context, search(engine), table, engines)
        report = _finished(context, one, go_on, criterion, selection, ratios)
    profiles = {**used.profiles, **ratios.used_profiles}
    used.model_copy(update={"rewrites": ratios.used, "profiles": profiles}).save(context.folder.latency_table)
    return report


def _finished(
    context: Context, found: Found, go_on: GoOn, criterion: Criterion, selection: Evaluator, ratios: Ratios
) -> RunReport:
    settled = Settling(context, criterion, selection, ratios).settle(found, go_on)
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


def _searched_on(
    context: Context, found: Found, search: Callable[[str], Search], rejected: frozenset[str]
) -> Found | None:
    """Return the search after it went on without some recipes; None where that gave nothing new, or may not be."""
    tuning = context.config.tuning
    left = found.seconds < tuning.time_budget and len(found.trials) < tuning.exit_policy.max_trials
    if not found.may_go_on or not left or found.chosen.recipe.engine != "inc":
        return None
    with context.stages.stage("tune"):
        return tune_with_inc(context, search("inc"), rejected)


def _both(
    context: Context,
    criterion: Criterion,
    selection: Evaluator,
    ratios: Ratios,
    search: Callable[[str], Search],
    go_on: GoOn,
    table: LatencyTable,
    journal: Journal,
    engines: dict[str, NativeEngine],
) -> tuple[RunReport, LatencyTable]:
    """Search with both engines; where one of them gives no model, the run is the other's, and says so."""
    found: dict[Engine, Found] = {}
    failed: dict[Engine, EngineError] = {}
    used = table
    with context.stages.stage("tune with Neural Compressor"):
        try:
            found["inc"] = once(journal, "inc", search("inc"), lambda given: tune_with_inc(context, given))
        except EngineError as error:
            failed["inc"] = error
    with context.stages.stage("tune with the native engine"):
        try:
            native, used = _native(context, search("native"), table, engines)
            found["native"] = recorded_once(journal, "native", native)
        except EngineError as error:
            failed["native"] = error
    if not failed:
        return compare_engines(context, found, go_on, criterion, selection, ratios), used
    why = tuple(f"The engine '{engine}' gave no model: {lost.problem}." for engine, lost in failed.items())
    for engine, lost in failed.items():
        _LOG.warning("the engine '%s' gave no model: %s", engine, lost)
    if not found:
        raise next(iter(failed.values()))
    (one,) = found.values()
    report = _finished(context, one, go_on, criterion, selection, ratios)
    verdict = report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, *why)})
    return report.model_copy(update={"verdict": verdict}), used


def _found(
    context: Context, search: Search, table: LatencyTable, engines: dict[str, NativeEngine]
) -> tuple[Found, LatencyTable]:
    calibration = context.batches(context.images.calibration)
    if context.recorded is not None:
        return found_again(context.recorded, context.model, calibration, search, context.folder.work), table
    if context.config.tuning.engine == "native":
        return _native(context, search, table, engines)
    return tune_with_inc(context, search), LatencyTable(model=context.model.graph_sha256)


def _native(
    context: Context, search: Search, table: LatencyTable, engines: dict[str, NativeEngine]
) -> tuple[Found, LatencyTable]:
    """Search with the native engine, which is kept in ``engines``: it knows the candidates behind its choice."""
    recorded = None if context.asked.request.latency_table is None else table
    engine = engines["native"] = NativeEngine(context, search, recorded)
    found = engine.run()
    return found, engine.latency_table


def _recorded_latencies(context: Context) -> LatencyTable:
    path, model = context.asked.request.latency_table, context.model.graph_sha256
    return LatencyTable(model=model) if path is None else LatencyTable.load(path, model)
