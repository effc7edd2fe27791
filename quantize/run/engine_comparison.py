"""Two engines under the same criterion on the same images: both written, measured together, the better one chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from quantize.criterion import Criterion, overall
from quantize.files import remove_if_empty
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact, save_model
from quantize.report.criterion import Status, VerdictSection
from quantize.report.engines import EngineSection
from quantize.report.models import Role
from quantize.report.schema import RunReport
from quantize.run.build import workshop
from quantize.run.context import Context
from quantize.run.contracted_build import Written
from quantize.run.evaluator import Evaluator
from quantize.run.export import Pair
from quantize.run.folder import RunFolder
from quantize.run.judging import Judged, final_verdict, finish
from quantize.run.losses import with_losses
from quantize.run.ratios import Ratios
from quantize.run.search import Found
from quantize.run.settling import GoOn, Settled, Settling
from quantize.run.stamping import stamp_both

Engine = Literal["inc", "native"]
_RANKS: Mapping[Status, int] = {"met": 2, "not asked": 2, "inconclusive": 1, "not met": 0}


@dataclass(frozen=True)
class _Side:
    engine: Engine
    settled: Settled
    written: Written
    judged: Judged


def compare_engines(
    context: Context,
    found: Mapping[Engine, Found],
    go_on: GoOn,
    criterion: Criterion,
    selection: Evaluator,
    ratios: Ratios,
) -> RunReport:
    """Write and judge what both engines found, keep the better one's files as the run's, and return the report.

    Criteria that are met (or none asked) go before inconclusive ones, and those before ones that are not met; speed is
    judged here by a short paired measurement against fp32 that is journaled. Of two that miss the criterion on accuracy
    the more accurate one is better; of two other equals the faster one, by a paired measurement that is journaled too,
    or the one nearer to fp32's scores (KL) where its interval holds 1. The other's files lie in a folder named after
    it.

    Args:
        context: The run.
        found: The search of each engine.
        go_on: Searches on where every candidate's files missed the criterion.
        criterion: What was asked.
        selection: Evaluates on the images that trials saw.
        ratios: Speed ratios that decide.
    """
    sides = []
    for engine, one in found.items():
        settled = Settling(context, criterion, selection, ratios, context.folder.of_engine(engine)).settle(one, go_on)
        sides.append(_Side(engine, settled, settled.written, settled.judged))
    with context.stages.stage("compare the engines"):
        sides = [_with_speed(side, context, criterion, ratios) for side in sides]
        best, why = _better(context, sides, criterion, ratios)
    (other,) = (side for side in sides if side is not best)
    best = _moved(best, context.folder)
    names: dict[Role, str] = {"int8": f"{other.engine} int8", "qdq": f"{other.engine} qdq"}
    written, pair = best.written, other.written.built.pair
    report = finish(
        written.context,
        written.built,
        best.judged,
        criterion,
        written.selection,
        {names["int8"]: pair.int8, names["qdq"]: pair.qdq},
    )
    assert report.measurement is not None
    verdicts = {
        best.engine: report.verdict,
        other.engine: final_verdict(
            other.written.context, other.written.built, other.judged, criterion, report.measurement, names
        ),
    }
    reason = f"The models are those of the engine '{best.engine}': {why}."
    sections = {
        best.engine: _section(best, verdicts[best.engine], written=True, names={}),
        other.engine: _section(other, verdicts[other.engine], written=False, names=names),
    }
    report = report.model_copy(
        update={
            "layers": written.layers,
            "input_contract": written.contract,
            "placement": best.settled.placement,
            "lost": best.settled.lost,
            "verdict": report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, reason)}),
            "engines": tuple(sections[engine] for engine in found),
        }
    )
    return stamp_both(with_losses(report), context.folder)


def _with_speed(side: _Side, context: Context, criterion: Criterion, ratios: Ratios) -> _Side:
    """Return a side whose status tells of its speed too, where speed is asked for on this machine's class of CPUs."""
    verdict, asked = side.judged.verdict, context.config.tuning.speed
    written = side.written
    judged = asked.min_speedup > 0 and written.built.chosen.target == this_cpu_class()
    if criterion.metric == "none" or not judged or verdict.status == "not met" or verdict.status == "not asked":
        return side
    shop = workshop(written.context, criterion, written.selection, ratios)
    pair = {"before": written.context.model, "after": _file(side, _role(context))}
    found = ratios.of(pair["before"], pair["after"], lambda: shop.ratio(pair))
    status = overall([verdict.status, asked.outcome(found)])
    judged_anew = replace(side.judged, verdict=verdict.model_copy(update={"status": status}))
    return replace(side, judged=judged_anew)


def _better(context: Context, sides: list[_Side], criterion: Criterion, ratios: Ratios) -> tuple[_Side, str]:
    first, second = sides
    ranks = [_RANKS[side.judged.verdict.status] for side in sides]
    if ranks[0] != ranks[1]:
        best = first if ranks[0] > ranks[1] else second
        alone = best.judged.verdict.status == "met"
        return best, "they alone meet the criterion" if alone else "the others miss the criterion"
    if ranks[0] == 0 and any(side.judged.verdict.accuracy == "not met" for side in sides):
        return max(reversed(sides), key=_accuracy), "neither engine's meet the criterion, and they are nearer to it"
    role = _role(context)
    shop = workshop(first.written.context, criterion, first.written.selection, ratios)
    pair = {"before": _file(first, role), "after": _file(second, role)}
    found = ratios.of(pair["before"], pair["after"], lambda: shop.ratio(pair))
    if not found.low <= 1 <= found.high:
        return (second if found.ratio > 1 else first), "they are the faster ones"
    best = min(sides, key=_divergence)
    return best, "neither engine's were measured to be faster, and theirs are nearer to fp32's scores"


def _role(context: Context) -> Role:
    return "qdq" if context.config.model.framework == "onnxrt_qdq" else "int8"


def _file(side: _Side, role: Role) -> ModelArtifact:
    pair = side.written.built.pair
    return pair.qdq if role == "qdq" else pair.int8


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
        measured={"int8": names.get("int8", "int8"), "qdq": names.get("qdq", "qdq")},
        trials=found.sections,
        search=found.search,
        seconds=found.seconds,
        peak_bytes=found.peak_bytes,
        placement=side.settled.placement,
        lost=side.settled.lost,
    )
