"""Apply rewrites one by one, check each against its declaration, and keep those that pay off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.graph.view import Graph
from quantize.models.input_form import filled
from quantize.models.session import MissingKernelError
from quantize.progress import Progress, silent
from quantize.rewrites.protocol import Comparison, Movement, Nearness, RatioInterval, Rewrite, movement

Faster = Callable[[ModelProto, ModelProto, bool], RatioInterval]
"""Times two models, before and after, paired; the last says whether to go on where a gain is seen but not yet shown."""
Near = Callable[[ModelProto], Nearness]
"""Returns how near a model's scores are to fp32's."""
Criterion = Callable[[ModelProto], bool]
"""Returns whether a model still meets the run's criterion."""


@dataclass(frozen=True)
class RewriteRecord:
    """What one rewrite did to one model.

    Attributes:
        name: The rewrite.
        kept: Whether the result has it.
        reason: Why it is not kept, in a sentence; None if it is.
        nodes: The nodes that it changed.
        declared: ``exact`` or ``rounding``.
        declared_within: See ``Declaration.within``.
        movement: What happened to the scores; None if nothing matched.
        speed: (format, paired speed ratio before over after); empty where nothing was timed.
        nearness_moved: The nearness to fp32 after minus that before, figure by figure; None if it was not measured.
    """

    name: str
    kept: bool
    reason: str | None
    nodes: tuple[str, ...]
    declared: str
    declared_within: float
    movement: Movement | None = None
    speed: tuple[tuple[str, RatioInterval], ...] = ()
    nearness_moved: Nearness | None = None


@dataclass(frozen=True)
class Rewritten:
    """A model in both formats after its rewrites.

    Attributes:
        qlinear: The QLinear form.
        qdq: The QDQ form.
        records: One entry per rewrite, in the order tried.
    """

    qlinear: ModelProto
    qdq: ModelProto
    records: tuple[RewriteRecord, ...]


@dataclass(frozen=True)
class _Forms:
    """A graph in canonical form with both formats and their scores."""

    graph: ModelProto
    qlinear: ModelProto
    qdq: ModelProto
    scores: NDArray[Any]
    qdq_scores: NDArray[Any]


def rewrite(
    model: ModelProto,
    rewrites: Sequence[Rewrite],
    *,
    images: Sequence[NDArray[Any]],
    opset: int = 12,
    faster: Faster | None = None,
    nearness: Near | None = None,
    criterion: Criterion | None = None,
    left_out: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Rewritten:
    """Apply rewrites in order; leave out what breaks its declaration, does not pay off, or fails the criterion.

    Declarations are of the graph: scores are compared in exact sessions, so that no CPU's saturation breaks one.

    Args:
        model: A quantized model in any format.
        rewrites: What to try.
        images: Batches of real images as the model takes them, on which declarations are checked; 32 images or more
            say something about ties.
        opset: Of the QLinear form; the QDQ form has 13 or the model's own.
        faster: Paired timing; without it, every rewrite that is right is kept.
        nearness: How near a candidate is to fp32; taken as unmoved where no score moved.
        criterion: Whether a candidate still meets the run's criterion; asked only where scores moved.
        left_out: By the name of a rewrite, why it is not tried where it matches.
        progress: Receives the number of rewrites done.

    Raises:
        ModelError: The model cannot be expressed in both formats.
    """
    now = _forms(canonical(model), images, opset)
    near = nearness(now.qlinear) if nearness is not None else None
    records = []
    for number, candidate in enumerate(rewrites):
        progress("rewrites", number, len(rewrites))
        graph = Graph(now.graph)
        nodes = tuple(candidate.apply(graph))
        if not nodes:
            records.append(_record(candidate, nodes, reason="pattern not found"))
            continue
        if left_out is not None and candidate.name in left_out:
            records.append(_record(candidate, nodes, reason=left_out[candidate.name]))
            continue
        try:
            after = _forms(graph.model(), images, opset)
        except MissingKernelError:
            missing = f"onnxruntime {onnxruntime.__version__} has no kernel for what it makes"
            records.append(_record(candidate, nodes, reason=missing))
            continue
        except ModelError as error:  # such as a shape that is no longer known, which an older opset needs
            records.append(_record(candidate, nodes, reason=f"what it makes cannot be written: {error.problem}"))
            continue
        moved = movement(now.scores, after.scores)
        problem = _problem(candidate, Graph(after.graph), nodes, now, after)
        if problem is not None:
            records.append(_record(candidate, nodes, reason=problem, movement=moved))
            continue
        same = moved.largest == 0.0
        near_after = near if same or nearness is None else nearness(after.qlinear)
        shift = _shift(near, near_after)
        nearer = shift is not None and shift.divergence <= 0
        alike = not candidate.only_measured and _runs_alike(now.qlinear, after.qlinear)
        shown = candidate.only_measured or (not same and not nearer)
        speed = () if faster is None or alike else _speed(faster, now, after, shown=shown)
        reason = None
        if not candidate.pays(Comparison(dict(speed), moved, nearer=nearer)):
            reason = "it does not pay on this model and machine"
        elif not same and criterion is not None and not criterion(after.qlinear):
            reason = "the criterion is no longer met with it"
        records.append(_record(candidate, nodes, reason=reason, movement=moved, speed=speed, nearness_moved=shift))
        if reason is None:
            now, near = after, near_after
    progress("rewrites", len(rewrites), len(rewrites))
    return Rewritten(now.qlinear, now.qdq, tuple(records))


def scores(model: ModelProto, images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return a model's first output for batches of images, one row per image, computed without saturation.

    A batch that is smaller than the one that the model insists on is filled up with copies, which count for nothing.
    """
    session = open_exact_session(model)
    given = session.get_inputs()[0]
    least = given.shape[0] if isinstance(given.shape[0], int) else 0
    rows = []
    for batch in images:
        whole = filled(batch, least)
        rows.append(session.run(None, {given.name: whole})[0].reshape(len(whole), -1)[: len(batch)])
    return np.concatenate(rows)


def _forms(graph: ModelProto, images: Sequence[NDArray[Any]], opset: int) -> _Forms:
    qlinear, qdq = to_qlinear(graph, opset=opset), to_qdq(graph)
    return _Forms(graph, qlinear, qdq, scores(qlinear, images), scores(qdq, images))


def _problem(candidate: Rewrite, graph: Graph, nodes: Sequence[str], before: _Forms, after: _Forms) -> str | None:
    """Return what a rewrite broke, or None."""
    for model in (after.qlinear, after.qdq):
        onnx.checker.check_model(model, full_check=True)
        for now, was in ((model.graph.input, before.qdq.graph.input), (model.graph.output, before.qdq.graph.output)):
            if [value.SerializeToString() for value in now] != [value.SerializeToString() for value in was]:
                return "it changes the model's declared input or output"
    broken = candidate.broken(graph, nodes)
    if broken:
        return f"it does not leave the graph as it promises: {broken[0]}"
    for name, old, new in (("QLinear", before.scores, after.scores), ("QDQ", before.qdq_scores, after.qdq_scores)):
        moved = movement(old, new)
        if not candidate.declares.allows(moved):
            return (
                f"it declares {candidate.declares.kind} (within {candidate.declares.within:g}), "
                f"but moves the {name} scores by {moved.relative:.2g}"
            )
    return None


def _speed(faster: Faster, before: _Forms, after: _Forms, *, shown: bool) -> tuple[tuple[str, RatioInterval], ...]:
    return (("qlinear", faster(before.qlinear, after.qlinear, shown)), ("qdq", faster(before.qdq, after.qdq, shown)))


def _shift(before: Nearness | None, after: Nearness | None) -> Nearness | None:
    if before is None or after is None:
        return None
    return Nearness(after.agreement - before.agreement, after.divergence - before.divergence)


def _runs_alike(before: ModelProto, after: ModelProto) -> bool:
    """Return whether the same operators run in the same order, so that there is nothing to time."""
    kinds = [
        [
            (node.domain, node.op_type, [entry.SerializeToString() for entry in node.attribute])
            for node in model.graph.node
        ]
        for model in (before, after)
    ]
    return kinds[0] == kinds[1] and before.ByteSize() >= after.ByteSize()


def _record(candidate: Rewrite, nodes: tuple[str, ...], *, reason: str | None, **measured: Any) -> RewriteRecord:
    declared = candidate.declares
    return RewriteRecord(candidate.name, reason is None, reason, nodes, declared.kind, declared.within, **measured)
