"""Compare engines under one criterion on the same images: write all, measure them together, choose the best."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from quantize.criterion import overall
from quantize.files import remove_if_empty
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import EngineName
from quantize.report.criterion import Status, VerdictSection
from quantize.report.models import Role
from quantize.report.schema import EngineSection, RunReport
from quantize.run.context import Context
from quantize.run.export import Pair
from quantize.run.folder import RunFolder
from quantize.run.judging import final_verdict
from quantize.run.report import run_report
from quantize.run.rewriting import rewrite_ratio
from quantize.run.search import Findings, Search
from quantize.run.settle import Settled, settle

_RANKS: Mapping[Status, int] = {"met": 2, "not asked": 2, "inconclusive": 1, "not met": 0}


@dataclass(frozen=True)
class _Side:
    engine: EngineName
    settled: Settled

    @property
    def files(self) -> dict[Role, ModelArtifact]:
        """Return what was written."""
        pair = self.settled.built.pair
        return {"int8": pair.int8, "qdq": pair.qdq}

    @property
    def verdict(self) -> VerdictSection:
        """Return the verdict so far."""
        return self.settled.judged.verdict


def compare_engines(context: Context, came_to: Sequence[tuple[Search, Findings]]) -> RunReport:
    """Write and judge what every engine found, keep the best one's files as the run's, and return the report.

    Criteria that are met (or none asked) go before inconclusive ones, and those before ones that are not met; speed is
    judged here by a short paired measurement against fp32 that is journaled. Of those that miss the criterion on
    accuracy the most accurate one is best; of other equals the faster one, by a paired measurement that is journaled
    too, or the one closer to fp32's scores (KL) where its interval holds 1. The others' files lie in folders named
    after them.

    Args:
        context: The run.
        came_to: The search of each engine, and what it found; at least two.
    """
    sides = []
    for search, findings in came_to:
        name = search.engine.name
        sides.append(_Side(name, settle(context, findings, search, context.folder.of_engine(name))))
    with context.stages.stage("compare the engines"):
        sides = [_with_speed(context, side) for side in sides]
        best, why = _best(context, sides)
    sides = [_moved(side, context.folder) if side.engine == best.engine else side for side in sides]
    (best,) = (side for side in sides if side.engine == best.engine)
    names: dict[EngineName, dict[Role, str]] = {
        side.engine: {"int8": f"{side.engine} int8", "qdq": f"{side.engine} qdq"} for side in sides
    }
    names[best.engine] = {"int8": "int8", "qdq": "qdq"}
    timed = {
        names[side.engine][role]: model for side in sides if side is not best for role, model in side.files.items()
    }
    report = run_report(best.settled, timed)
    assert report.measurement is not None
    sections = []
    for side in sides:
        verdict = report.verdict
        if side is not best:
            own = side.settled
            verdict = final_verdict(own.built, own.judged, report.measurement, names[side.engine])
        sections.append(_section(side, verdict, written=side is best, names=names[side.engine]))
    reason = f"The models are those of the engine '{best.engine}': {why}."
    verdict = report.verdict.model_copy(update={"reasons": (*report.verdict.reasons, reason)})
    return report.model_copy(update={"verdict": verdict, "engines": tuple(sections)})


def _with_speed(context: Context, side: _Side) -> _Side:
    """Return a side whose status includes its speed, if speed is requested on this machine's class of CPUs."""
    verdict, asked, built = side.verdict, context.config.tuning.speed, side.settled.built
    judged = asked.min_speedup > 0 and built.chosen.target == this_cpu_class()
    if context.criterion.metric == "none" or not judged or verdict.status == "not met" or verdict.status == "not asked":
        return side
    ratio = rewrite_ratio(built.context, built.context.whole, side.files[_role(context)])
    status = overall([verdict.status, asked.outcome(ratio)])
    judged_anew = replace(side.settled.judged, verdict=verdict.model_copy(update={"status": status}))
    return replace(side, settled=replace(side.settled, judged=judged_anew))


def _best(context: Context, sides: Sequence[_Side]) -> tuple[_Side, str]:
    """Return the best side, and why it is."""
    highest = max(_RANKS[side.verdict.status] for side in sides)
    equals = [side for side in sides if _RANKS[side.verdict.status] == highest]
    if len(equals) == 1:
        alone = equals[0].verdict.status == "met"
        return equals[0], "they alone meet the criterion" if alone else "the others miss the criterion"
    no = "neither engine's" if len(equals) == 2 else "no engine's"
    if highest == 0 and any(side.verdict.accuracy == "not met" for side in equals):
        return max(reversed(equals), key=_accuracy), f"{no} meet the criterion, and they are nearer to it"
    best, faster = equals[0], True
    for side in equals[1:]:
        role = _role(context)
        ratio = rewrite_ratio(best.settled.built.context, best.files[role], side.files[role])
        clear = not ratio.low <= 1 <= ratio.high
        winner = (side if ratio.ratio > 1 else best) if clear else min((best, side), key=_divergence)
        faster = clear and (faster or winner is side)
        best = winner
    if faster:
        return best, "they are the faster ones"
    none = "neither engine's" if len(equals) == 2 else "no other engine's"
    return best, f"{none} were measured to be faster, and theirs are nearer to fp32's scores"


def _role(context: Context) -> Role:
    return "qdq" if context.config.model.framework == "onnxrt_qdq" else "int8"


def _accuracy(side: _Side) -> float:
    evaluation = side.settled.judged.models[0].deciding.evaluation
    if evaluation.accuracy is not None:
        return evaluation.accuracy.expected
    return evaluation.fidelity.agreement if evaluation.fidelity is not None else 0.0


def _divergence(side: _Side) -> float:
    fidelity = side.settled.judged.models[0].deciding.evaluation.fidelity
    return fidelity.mean_kl if fidelity is not None else 0.0


def _moved(side: _Side, folder: RunFolder) -> _Side:
    """Put an engine's files where the run's belong."""
    settled, pair = side.settled, side.settled.built.pair
    into = Pair(int8=save_model(pair.int8.proto(), folder.int8), qdq=save_model(pair.qdq.proto(), folder.qdq))
    for file in (pair.int8.path, pair.qdq.path):
        file.unlink()
    remove_if_empty(pair.int8.path.parent)
    places = {"int8": into.int8.path, "qdq": into.qdq.path}
    models = tuple(
        model.model_copy(update={"file": os.path.relpath(places[model.role], folder.path)})
        for model in settled.judged.models
    )
    built = replace(settled.built, context=replace(settled.built.context, folder=folder), pair=into)
    return replace(side, settled=replace(settled, built=built, judged=replace(settled.judged, models=models)))


def _section(side: _Side, verdict: VerdictSection, *, written: bool, names: Mapping[Role, str]) -> EngineSection:
    findings, built = side.settled.built.findings, side.settled.built
    return EngineSection(
        engine=side.engine,
        written=written,
        status=verdict.status,
        reasons=verdict.reasons,
        stopped_because=verdict.ended,
        chosen=built.chosen,
        models=side.settled.judged.models,
        measured=dict(names),
        trials=findings.sections,
        search=findings.search,
        seconds=findings.seconds,
        peak_bytes=findings.peak_bytes,
        placement=side.settled.placement,
        lost=side.settled.lost,
    )
