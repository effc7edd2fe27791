"""The time of every operator of two models, side by side, as onnxruntime really runs them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto
from pydantic import BaseModel, ConfigDict
from scipy import stats

from quantize.benchmark.float_reasons import float_reason
from quantize.benchmark.interleave import collector_paused
from quantize.benchmark.kinds import Kind, kind_of, requantizing_concats
from quantize.benchmark.multiply_adds import multiply_adds
from quantize.benchmark.origins import find_origins, weight_shapes
from quantize.benchmark.peak import Peak, measure_peak
from quantize.benchmark.plan import Plan
from quantize.benchmark.schedule import round_order
from quantize.benchmark.shape_notes import shape_notes
from quantize.benchmark.trace import NodeTrace, Trace, read_trace
from quantize.models.names import name_nodes
from quantize.models.reading import read_model
from quantize.models.session import open_session
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

_RUNS_A_BLOCK = 5
_WARMUP = 2
# The outer quarters are left out on either side: what disturbs a run hits few of its nodes.
_TRIM = 0.25


class OperatorTime(BaseModel):
    """One node of the graph that ran.

    Attributes:
        name: Its name there.
        op_type: Its operator there.
        kind: Int8 arithmetic, fp32 arithmetic, or conversion.
        origin: The fp32 model's node that it computes; None for what quantization or onnxruntime added.
        origin_op: That node's operator.
        time_ns: Mean time of the middle half of the runs.
        multiply_adds: That the fp32 model's node needs; None where it is no product or the shapes are not known.
        reason: Why a node of a quantized model is in fp32 or requantizes; None for others.
        shape_note: What in a product's shape makes int8 gain little (few input channels, depthwise); None for others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op_type: str
    kind: Kind
    origin: str | None
    origin_op: str | None
    time_ns: float
    multiply_adds: int | None
    reason: str | None
    shape_note: str | None


class ModelProfile(BaseModel):
    """One model's operators.

    Attributes:
        name: As in the plan.
        operators: In the order that they ran.
        outside_ns: Median over the runs of the time between the operators; the profiler's own is part of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    operators: tuple[OperatorTime, ...]
    outside_ns: float

    def time_ns(self, kind: Kind) -> float:
        """Return the time of all operators of a kind, in nanoseconds."""
        return sum(operator.time_ns for operator in self.operators if operator.kind == kind)

    @property
    def run_ns(self) -> float:
        """Return the time of a run, in nanoseconds: the operators' and what lies between them.

        On a busy machine a run is interrupted more often than any one operator, so this is nearer to an undisturbed
        run than the runs' own times are.
        """
        return sum(operator.time_ns for operator in self.operators) + self.outside_ns


class Profile(BaseModel):
    """Two models' operators and what the core could do.

    Attributes:
        baseline: The fp32 model's.
        candidate: The quantized model's.
        peak: Multiply-adds a second at best.
        runs: Profiled runs of each.
        threads: Intra-op threads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: ModelProfile
    candidate: ModelProfile
    peak: Peak
    runs: int
    threads: int


def profile(
    plan: Plan,
    inputs: dict[str, Sequence[npt.NDArray[np.generic]]],
    candidate: str,
    *,
    runs: int = 60,
    recipe: Recipe | None = None,
    progress: Progress = silent,
) -> Profile:
    """Profile the plan's baseline and one candidate in alternating blocks.

    Args:
        plan: Gives the baseline, the models' files, threads, spinning, optimization and the seed.
        inputs: Prepared images of both models.
        candidate: Name of the quantized model.
        runs: Profiled runs of each model.
        recipe: What the candidate was made by, if known: it says what was kept in fp32 on purpose.
        progress: Told the blocks done.

    Raises:
        ValueError: The plan has no baseline.
    """
    if plan.baseline is None:
        raise ValueError("a profile needs a baseline")
    names = (plan.baseline, candidate)
    reference = read_model(plan.models[plan.baseline])
    name_nodes(reference)
    with tempfile.TemporaryDirectory(prefix="quantize-profile-") as folder:
        traces = _run(plan, inputs, names, runs, Path(folder), progress)
        graphs = [onnx.load(_optimized(Path(folder), index)) for index in range(len(names))]
    counts = multiply_adds(reference, traces[0].nodes, find_origins(reference, traces[0].nodes))
    saved = read_model(plan.models[candidate])
    models = [
        _model_profile(name, trace, graph, reference, counts, saved if name == candidate else None, recipe)
        for name, trace, graph in zip(names, traces, graphs, strict=True)
    ]
    return Profile(
        baseline=models[0], candidate=models[1], peak=measure_peak(plan.threads), runs=runs, threads=plan.threads
    )


def _run(
    plan: Plan,
    inputs: dict[str, Sequence[npt.NDArray[np.generic]]],
    names: tuple[str, str],
    runs: int,
    folder: Path,
    progress: Progress,
) -> list[Trace]:
    """Run both models under the profiler; leave the first runs of each block out of the traces."""
    sessions = [
        open_session(
            plan.models[name],
            threads=plan.threads,
            optimization=plan.optimization,
            spinning=plan.spinning,
            profile_prefix=folder / f"profile-{index}",
            optimized_path=_optimized(folder, index),
        )
        for index, name in enumerate(names)
    ]
    feeds = [session.get_inputs()[0].name for session in sessions]
    generator = np.random.default_rng(plan.seed)
    counted: tuple[list[bool], list[bool]] = ([], [])
    blocks = -(-runs // _RUNS_A_BLOCK)
    order = [name for _ in range(-(-blocks // 2)) for name in round_order(names, generator)]
    for done, name in enumerate(order):
        progress("profile", done, len(order))
        index = names.index(name)
        if counted[index].count(True) >= runs:
            continue
        with collector_paused():
            for run in range(_WARMUP + _RUNS_A_BLOCK):
                images = inputs[name]
                image = images[len(counted[index]) % len(images)]
                sessions[index].run(None, {feeds[index]: image})
                counted[index].append(run >= _WARMUP)
    progress("profile", len(order), len(order))
    traces = [read_trace(Path(session.end_profiling())) for session in sessions]
    return [_only(trace, flags) for trace, flags in zip(traces, counted, strict=True)]


def _only(trace: Trace, flags: list[bool]) -> Trace:
    def kept(runs_ns: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for value, flag in zip(runs_ns, flags, strict=True) if flag)

    nodes = (NodeTrace(n.name, n.op_type, n.inputs, n.outputs, kept(n.runs_ns)) for n in trace.nodes)
    return Trace(nodes=tuple(nodes), runs_ns=kept(trace.runs_ns))


def _model_profile(
    name: str,
    trace: Trace,
    optimized: ModelProto,
    reference: ModelProto,
    counts: dict[str, int],
    saved: ModelProto | None,
    recipe: Recipe | None,
) -> ModelProfile:
    requantizing = requantizing_concats(optimized)
    operators = {node.name: node.op_type for node in reference.graph.node}
    notes = shape_notes(reference)
    found = []
    origins = find_origins(reference, trace.nodes, weight_shapes(optimized))
    for node, origin in zip(trace.nodes, origins, strict=True):
        kind = kind_of(node, requantizing)
        origin_op = None if origin is None else operators[origin]
        reason = None
        if node.op_type == "QLinearConcat" and kind == "conversion":
            reason = "unequal scales"
        elif saved is not None and kind == "fp32":
            reason = float_reason(saved, origin, origin_op or node.op_type, recipe)
        found.append(
            OperatorTime(
                name=node.name,
                op_type=node.op_type,
                kind=kind,
                origin=origin,
                origin_op=origin_op,
                time_ns=_middle(node.runs_ns),
                multiply_adds=None if origin is None else counts.get(origin),
                reason=reason,
                shape_note=None if origin is None else notes.get(origin),
            )
        )
    inside = np.sum([node.runs_ns for node in trace.nodes], axis=0)
    outside = float(np.median(np.array(trace.runs_ns) - inside))
    return ModelProfile(name=name, operators=tuple(found), outside_ns=max(0.0, outside))


def _middle(runs_ns: Sequence[int]) -> float:
    return float(stats.trim_mean(runs_ns, _TRIM))


def _optimized(folder: Path, index: int) -> Path:
    return folder / f"optimized-{index}.onnx"
