"""Engines under the same criterion on the same images: all written, measured together, the best one chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from quantize.criterion import Criterion, overall
from quantize.files import remove_if_empty
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import EngineName
from quantize.report.criterion import Status, VerdictSection
from quantize.report.engines import EngineSection
from quantize.report.models import Role
from quantize.report.schema import RunReport
from quantize.rewrites import RatioInterval
from quantize.run.build import workshop
from quantize.run.context import Context
from quantize.run.contracted_build import Written
from quantize.run.evaluator import Evaluator
from quantize.run.export import Pair
from quantize.run.folder import RunFolder
from quantize.run.judging import Judged, final_verdict, finish
from quantize.run.losses import with_losses
from quantize.run.ratios import Ratios
from quantize.run.search import Found, Search
from quantize.run.settling import Settled, Settling
from quantize.run.stamping import stamp_all

_RANKS: Mapping[Status, int] = {"met": 2, "not asked": 2, "inconclusive": 1, "not met": 0}


@dataclass(frozen=True)
class _Side:
    engine: EngineName
    settled: Settled
    written: Written
    judged: Judged


def compare_engines(
    context: Context,
    came_to: Sequence[tuple[Search, Found]],
    criterion: Criterion,
    selection: Evaluator,
    ratios: Ratios,
) -> RunReport:
    """Write and judge what every engine found, keep the best one's files as the run's, and return the report.

    Criteria that are met (or none asked) go before inconclusive ones, and those before ones that are not met; speed is
    judged here by a short paired measurement against fp32 that is journaled. Of those that miss the criterion on
    accuracy the most accurate one is best; of other equals the faster one, by a paired measurement that is journaled
    too, or the one nearer to fp32's scores (KL) where its interval holds 1. The others' files lie in folders named
    after them.

    Args:
        context: The run.
        came_to: The search of each engine, and what it found; at least two.
        criterion: What was asked.
        selection: Evaluates on the images that trials saw.
        ratios: Speed ratios that decide.
    """
    sides = []
    for search, found in came_to:
        name = search.engine.name
        settled = Settling(context, criterion, selection, ratios, context.folder.of_engine(name)).settle(found, search)
        sides.append(_Side(name, settled, settled.written, settled.judged))
    with context.stages.stage("compare the engines"):
        sides = [_with_speed(side, context, criterion, ratios) for side in sides]
        best, why = _best(context, sides, criterion, ratios)
    sides = [_moved(side, context.folder) if side.engine == best.engine else side for side in sides]
    (best,) = (side for side in sides if side.engine == best.engine)
    written = best.written
    names: dict[EngineName, dict[Role, str]] = {
        side.engine: {"int8": f"{side.engine} int8", "qdq": f"{side.engine} qdq"} for side in sides
    }
    names[best.engine] = {"int8": "int8", "qdq": "qdq"}
    timed = {
        names[side.engine][role]: model for side in sides if side is not best for role, model in _files(side).items()
    }
    report = finish(written.context, written.built, best.judged, criterion, written.selection, timed)
    assert report.measurement is not None
    sections = []
    for side in sides:
        verdict = report.verdict
        if side is not best:
            own = side.written
            verdict = final_verdict(
                own.context, own.built, side.judged, criterion, report.measurement, names[side.engine]
            )
        sections.append(_section(side, verdict, written=side is best, names=names[side.engine]))
    reason = f"The models are those of the engine '{best.engine}': {why}."
    report = report.model_copy(
        update={
            "layers": written.layers,
            "input_contract": written.contract,
            "placement": best.settled.placement,
            "lost": best.settled.lost,
            "verdict": report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, reason)}),
            "engines": tuple(sections),
        }
    )
    return stamp_all(with_losses(report), context.folder)


def _with_speed(side: _Side, context: Context, criterion: Criterion, ratios: Ratios) -> _Side:
    """Return a side whose status tells of its speed too, where speed is asked for on this machine's class of CPUs."""
    verdict, asked = side.judged.verdict, context.config.tuning.speed
    written = side.written
    judged = asked.min_speedup > 0 and written.built.chosen.target == this_cpu_class()
    if criterion.metric == "none" or not judged or verdict.status == "not met" or verdict.status == "not asked":
        return side
    shop = workshop(written.context, criterion, written.selection, ratios)
    pair = {"before": written.context.model, "after": _files(side)[_role(context)]}
    found = ratios.of(pair["before"], pair["after"], lambda: shop.ratio(pair))
    status = overall([verdict.status, asked.outcome(found)])
    judged_anew = replace(side.judged, verdict=verdict.model_copy(update={"status": status}))
    return replace(side, judged=judged_anew)


def _best(context: Context, sides: Sequence[_Side], criterion: Criterion, ratios: Ratios) -> tuple[_Side, str]:
    """Return the best side, and why it is."""
    highest = max(_RANKS[side.judged.verdict.status] for side in sides)
    equals = [side for side in sides if _RANKS[side.judged.verdict.status] == highest]
    if len(equals) == 1:
        alone = equals[0].judged.verdict.status == "met"
        return equals[0], "they alone meet the criterion" if alone else "the others miss the criterion"
    no = "neither engine's" if len(equals) == 2 else "no engine's"
    if highest == 0 and any(side.judged.verdict.accuracy == "not met" for side in equals):
        return max(reversed(equals), key=_accuracy), f"{no} meet the criterion, and they are nearer to it"
    best, faster = equals[0], True
    for side in equals[1:]:
        ratio = _ratio(context, best, side, criterion, ratios)
        clear = not ratio.low <= 1 <= ratio.high
        winner = (side if ratio.ratio > 1 else best) if clear else min((best, side), key=_divergence)
        faster = clear and (faster or winner is side)
        best = winner
    if faster:
        return best, "they are the faster ones"
    none = "neither engine's" if len(equals) == 2 else "no other engine's"
    return best, f"{none} were measured to be faster, and theirs are nearer to fp32's scores"


def _ratio(context: Context, before: _Side, after: _Side, criterion: Criterion, ratios: Ratios) -> RatioInterval:
    role = _role(context)
    shop = workshop(before.written.context, criterion, before.written.selection, ratios)
    pair = {"before": _files(before)[role], "after": _files(after)[role]}
    return ratios.of(pair["before"], pair["after"], lambda: shop.ratio(pair))


def _role(context: Context) -> Role:
    return "qdq" if context.config.model.framework == "onnxrt_qdq" else "int8"


def _files(side: _Side) -> dict[Role, ModelArtifact]:
    pair = side.written.built.pair
    return {"int8": pair.int8, "qdq": pair.qdq}


def _accuracy(side: _Side) -> float:
    found = side.judged.models[0].deciding.evaluation
    if found.top1 is not None:
        return found.top1.expected
    return found.fidelity.agreement if found.fidelity is not None else 0.0


def _divergence(side: _Side) -> float:
    fidelity = side.judged.models[0].deciding.evaluation.fidelity
    return fidelity.mean_kl if fidelity is not None else 0.0


def _moved(side: _Side, folder: RunFolder) -> _Side:
    """Put an engine's files where the run's belong."""
    written, pair = side.written, side.written.built.pair
    into = Pair(int8=save_model(pair.int8.proto(), folder.int8), qdq=save_model(pair.qdq.proto(), folder.qdq))
    for file in (pair.int8.path, pair.qdq.path):
        file.unlink()
    remove_if_empty(pair.int8.path.parent)
    context = replace(written.context, folder=folder)
    places = {"int8": into.int8.path, "qdq": into.qdq.path}
    models = tuple(
        model.model_copy(update={"file": os.path.relpath(places[model.role], folder.path)})
        for model in side.judged.models
    )
    return replace(
        side,
        written=replace(written, context=context, built=replace(written.built, pair=into)),
        judged=replace(side.judged, models=models),
    )


def _section(side: _Side, verdict: VerdictSection, *, written: bool, names: Mapping[Role, str]) -> EngineSection:
    found, built = side.written.built.found, side.written.built
    return EngineSection(
        engine=side.engine,
        written=written,
        status=verdict.status,
        reasons=verdict.reasons,
        stopped_because=verdict.ended,
        chosen=built.chosen,
        models=side.judged.models,
        measured=dict(names),
        trials=found.sections,
        search=found.search,
        seconds=found.seconds,
        peak_bytes=found.peak_bytes,
        placement=side.settled.placement,
        lost=side.settled.lost,
    )
