"""Tables of the search: engines side by side, trials, placements, predictions, rewrites, stages."""

from __future__ import annotations

from collections.abc import Collection

from quantize.engines.engine import engine_named
from quantize.measurement.timing.measurement import speedups
from quantize.report.models import ModelSection
from quantize.report.schema import EngineSection, RunReport
from quantize.report.search import CandidateSection, PlacementOptionSection, SearchSection
from quantize.report.table import Table
from quantize.report.task_words import words
from quantize.report.trials import RewriteSection, TrialSection
from quantize.report.wording import (
    NOTHING,
    bounds,
    megabytes,
    milliseconds,
    percent,
    points,
    seconds,
    times,
    times_with_bounds,
)


def engines_table(report: RunReport) -> Table | None:
    """Return what each engine came to, or None if one engine tuned."""
    if not report.engines:
        return None
    gains = {gain.candidate: gain for gain in speedups(report.measurement)} if report.measurement is not None else {}
    rows = []
    for engine in report.engines:
        for model in engine.models:
            gain = gains.get(engine.measured[model.role])
            rows.append(
                (
                    f"{engine.engine} {model.role}{' *' if engine.written else ''}",
                    engine.status,
                    percent(model.deciding.metric(report.criterion.metric)),
                    _drop(model),
                    times_with_bounds(gain),
                )
            )
    others = "The other engine's are in the folder named after it."
    if len(report.engines) > 2:
        others = "The other engines' are in folders named after them."
    searches = "; ".join(_search(engine) for engine in report.engines)
    accuracy = words(report.task).accuracy
    metric = "agreement" if report.criterion.metric == "none" else _metric(report)  # as in `AccuracySection.metric`
    return Table(
        "Engines side by side",
        ("model", "criterion", metric, "drop, 95 %", "speed-up, 95 %"),
        tuple(rows),
        (
            f"Search: {searches}.",
            "* The models of this run: met comes before inconclusive, inconclusive before not met. Among equals, the "
            "faster ones, or those nearer to fp32 (KL) where neither are measurably faster; where both miss the "
            f"criterion, the more accurate ones. {others} Drop: points of {accuracy} against fp32. All were timed in "
            "one paired measurement.",
            _memory(report),
        ),
    )


def _memory(report: RunReport) -> str:
    engines = [engine_named(section.engine) for section in report.engines]
    owners = " and ".join(f"{engine.title}'s" for engine in engines if engine.has_own_process)
    others = " and ".join(engine.in_words for engine in engines if not engine.has_own_process)
    text = "Memory: peak resident memory of the process that searched"
    if owners:
        several = sum(engine.has_own_process for engine in engines) > 1
        text += f". {owners} {'are ones of their own' if several else 'is one of its own'}, beside the one that keeps"
        text += " the images and evaluates"
    return f"{text}; {others} does all in that one." if others else f"{text}."


def _search(engine: EngineSection) -> str:
    count = len(engine.trials)
    memory = megabytes(engine.peak_bytes) if engine.peak_bytes is not None else "unknown"
    trials = f"{count} trial" + ("" if count == 1 else "s")
    return f"{engine_named(engine.engine).title} took {seconds(engine.seconds)} for {trials}, peak memory {memory}"


def _metric(report: RunReport) -> str:
    """Return what the criterion's metric is called."""
    accuracy = words(report.task).accuracy
    return {"top1": accuracy, "map": accuracy, "agreement": "agreement", "none": "metric"}[report.criterion.metric]


def _drop(model: ModelSection) -> str:
    paired = model.deciding.paired
    if paired is None:
        return NOTHING
    return f"{points(paired.drop)} {bounds(paired.drop_interval.low, paired.drop_interval.high, factor=100)}"


def trials_table(report: RunReport) -> Table:
    """Return every trial in order."""
    lost, metric = {loss.trial for loss in report.lost}, _metric(report)
    beside = metric != "agreement"  # else it is the metric
    rows = tuple(
        (
            f"{trial.index + 1}{' *' if trial.index == report.chosen.trial else ''}",
            trial.recipe_id,
            percent(trial.metric),
            *([percent(trial.agreement)] if beside else []),
            percent(trial.integer_share, 0),
            seconds(trial.seconds),
            _outcome(trial, lost),
        )
        for trial in report.trials
    )
    return Table(
        "Trials",
        ("trial", "recipe", metric, *(["agreement"] if beside else []), "ops in int8", "time", "criterion"),
        rows,
        ("* The trial that the files were built from.",),
    )


def _outcome(trial: TrialSection, lost: Collection[int]) -> str:
    text = "met" if trial.met else (f"failed: {trial.failure.stage}" if trial.failure else "not met")
    if trial.index in lost:
        text += ", but not its files"
    return text if trial.repeats is None else f"{text} (same graph as trial {trial.repeats + 1}, not run again)"


def prediction_table(report: RunReport) -> Table | None:
    """Return every candidate's predicted and measured time, or None if nothing was predicted."""
    search = report.search
    if search is None or not search.candidates:
        return None
    return Table(
        "Candidates of the native search",
        ("trial", "step", "predicted", "measured", "error", "speed-up", "images seen", "Pareto set"),
        tuple(_candidate(candidate, chosen=report.chosen.trial) for candidate in search.candidates),
        (
            _errors(search),
            f"Images seen: of {search.images:,}; fewer where the verdict was certain earlier. Candidates without a "
            "trial were only timed: they are not faster, nor as fast (within 2 %) and nearer to fp32. * Chosen: the "
            "nearest to fp32 among the fastest that meet the criterion.",
        ),
    )


def _candidate(candidate: CandidateSection, *, chosen: int) -> tuple[str, ...]:
    trial = NOTHING if candidate.trial is None else str(candidate.trial + 1)
    return (
        f"{trial} *" if candidate.trial == chosen else trial,
        candidate.step,
        milliseconds(candidate.predicted_ns) if candidate.predicted_ns is not None else NOTHING,
        milliseconds(candidate.measured_ns) if candidate.measured_ns is not None else NOTHING,
        percent(candidate.prediction_error, 1),
        times(candidate.speedup) if candidate.speedup is not None else NOTHING,
        f"{candidate.images:,}" if candidate.trial is not None else NOTHING,
        "yes" if candidate.pareto else "no",
    )


def _errors(search: SearchSection) -> str:
    errors, median = search.prediction_errors, search.median_error
    if median is None:
        return "No predicted time was measured."
    return (
        f"Times predicted from one profile were off by {percent(median, 1)} in the median, {percent(max(errors), 1)} "
        f"at worst ({len(errors)} candidates)."
    )


def search_stages_table(report: RunReport) -> Table | None:
    """Return where a native search's time went, or None without such a search."""
    if report.search is None:
        return None
    rows = tuple((stage.name, seconds(stage.seconds)) for stage in report.search.stages)
    return Table("Native search: time by stage", ("stage", "time"), rows)


_PLACEMENTS = {
    "as tuned": "as {engine} decided",
    "smaller": "the same, float weights stored in int8",
    "fastest": "fastest by prediction",
    "safer": "more layers in float",
    "float": "all in float",
}


def placement_table(report: RunReport) -> Table | None:
    """Return what placements were looked at, or None if none was."""
    placement = report.placement
    if placement is None or not placement.options:
        return None
    return Table(
        "Placement",
        ("layers", "in int8", "stored in int8", "speed-up, 95 %", "against as tuned", "criterion", "size"),
        tuple(
            _placement_row(option, engine_named(report.chosen.recipe.engine).in_words) for option in placement.options
        ),
        (
            f"* Chosen: {placement.reason}.",
            "Layers that measure slower in int8 on this machine go back to float. Stored in int8: fp32 arithmetic on "
            "weights stored in int8. Each took turns with fp32, or with the model as tuned.",
        ),
    )


def _placement_row(option: PlacementOptionSection, engine: str) -> tuple[str, ...]:
    verdict = NOTHING if option.met is None else "met" if option.met else "not met"
    return (
        f"{_PLACEMENTS[option.kind].format(engine=engine)}{' *' if option.taken else ''}",
        f"{option.int8_layers} of {option.layers}",
        f"{option.stored_layers}",
        times_with_bounds(option.speedup),
        times_with_bounds(option.gain),
        verdict if option.metric is None else f"{verdict} ({percent(option.metric)})",
        megabytes(option.bytes),
    )


def rewrites_table(report: RunReport) -> Table | None:
    """Return what each graph rewrite did, or None if none was tried."""
    if not report.rewrites:
        return None
    rows = tuple(
        (
            rewrite.name,
            "kept" if rewrite.kept else "left out",
            ", ".join(f"{speed.format} {times(speed.ratio)}" for speed in rewrite.speed) or NOTHING,
            rewrite.reason or f"{_nodes(rewrite)}, {rewrite.declared}{_nearness_moved(rewrite)}",
        )
        for rewrite in report.rewrites
    )
    return Table("Rewrites", ("rewrite", "decision", "speed-up", "details"), rows, prose=True)


def _nodes(rewrite: RewriteSection) -> str:
    return f"{len(rewrite.nodes):,} node{'' if len(rewrite.nodes) == 1 else 's'}"


def _nearness_moved(rewrite: RewriteSection) -> str:
    moved, divergence = rewrite.agreement_change, rewrite.divergence_change
    if rewrite.declared == "exact" or moved is None:
        return ""
    further = "" if divergence is None else f", KL {divergence:+.2g}"
    return f", agreement {points(moved)} points{further}"


def stages_table(report: RunReport) -> Table:
    """Return how long each stage of the run took."""
    return Table(
        "Time by stage", ("stage", "time"), tuple((stage.name, seconds(stage.seconds)) for stage in report.stages)
    )
