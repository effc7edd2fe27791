"""One run after its inputs are known to be good: search, then finish what was chosen."""

from __future__ import annotations

from quantize.api.baseline_check import checked_goal
from quantize.api.context import Context
from quantize.api.engines import tune_with_inc, weighted_int8
from quantize.api.finishing import finish
from quantize.api.input_contract import contracted, require_foldable
from quantize.api.journal import TrialJournal
from quantize.api.layer_error import layer_errors
from quantize.api.native_engine import NativeEngine
from quantize.api.ratios import Ratios
from quantize.api.rebuilding import found_again
from quantize.api.run_journal import open_journal
from quantize.api.search import Found, Search
from quantize.api.stamping import stamp_models
from quantize.data.batches import Batches
from quantize.engines.native import source_graph
from quantize.errors import ConfigError
from quantize.recipe import Recipe
from quantize.report.schema import RunReport
from quantize.tuning.latency_table import LatencyTable

_LAYER_IMAGES = 16


def run(context: Context) -> RunReport:
    """Tune, write both formats, judge and measure them, and return what was found.

    Raises:
        QuantizeError: The baseline is no better than chance, or the engine failed.
    """
    require_engine(context)
    require_foldable(context)
    selection = context.evaluator(context.images.evaluation, "evaluation")
    with context.stages.stage("evaluate fp32"):
        goal = checked_goal(context, selection)
    table = _recorded_latencies(context)
    journal = open_journal(context)
    trials = TrialJournal(journal, context.folder.work / "candidates")
    earlier = trials.earlier() if context.config.tuning.engine == "inc" else ()
    proto = context.model.proto()

    def integer_share(recipe: Recipe) -> float | None:
        int8, weighted = weighted_int8(recipe, proto)
        return int8 / weighted if weighted else None

    with context.stages.stage("tune"):
        search = Search(goal, selection, integer_share, trials, earlier)
        found, used = _found(context, search, table)
    assert found.chosen.artifact is not None
    with context.stages.stage("error by layer"):
        few = context.images.evaluation.subset(range(min(_LAYER_IMAGES, len(context.images.evaluation))))
        size = context.model.contract.fixed_batch or 1
        whole = Batches(few.subset(range(len(few) // size * size)), context.images.preprocessing, size)
        recipe = found.chosen.recipe
        reference = proto if recipe.engine == "inc" else source_graph(proto, recipe)
        layers = layer_errors(reference, found.chosen.artifact.proto(), whole)
    with context.stages.stage("fold the input contract"):
        folded = contracted(context, found.chosen.artifact, found.chosen.recipe)
        written, candidate = folded.context, folded.candidate
    if folded.section is not None:
        selection = written.evaluator(written.images.evaluation, "evaluation-contract")
        selection.evaluate_baseline(written.model)
    ratios = Ratios(journal, table.rewrites)
    report = finish(written, candidate, found, goal, selection, ratios).model_copy(
        update={"layers": layers, "input_contract": folded.section}
    )
    used.model_copy(update={"rewrites": ratios.used}).save(context.folder.latency_table)
    return stamp_models(report, context.folder)


def require_engine(context: Context) -> None:
    """Refuse an engine that this version does not have.

    Raises:
        ConfigError: Both engines in one run were asked for.
    """
    if context.config.tuning.engine == "both":
        raise ConfigError(
            "both engines in one run are not there yet",
            where="tuning.engine",
            found="both",
            expected="inc or native",
            advice="run each into a folder of its own and compare the reports: quantize report RUN RUN",
        )


def _found(context: Context, search: Search, table: LatencyTable) -> tuple[Found, LatencyTable]:
    calibration = context.batches(context.images.calibration)
    if context.recorded is not None:
        return found_again(context.recorded, context.model, calibration, search, context.folder.work), table
    if context.config.tuning.engine == "native":
        recorded = None if context.asked.request.latency_table is None else table
        engine = NativeEngine(context, search, recorded)
        found = engine.run()
        return found, engine.latency_table
    return tune_with_inc(context, search), LatencyTable(model=context.model.graph_sha256)


def _recorded_latencies(context: Context) -> LatencyTable:
    path, model = context.asked.request.latency_table, context.model.graph_sha256
    return LatencyTable(model=model) if path is None else LatencyTable.load(path, model)
