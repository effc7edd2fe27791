"""Profiling two models in turns, and reading what their operators are."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto
from scipy import stats

from quantize.graph.cleaning import name_nodes
from quantize.graph.shapes import Shape
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.model_layers import layer_kinds
from quantize.measurement.operators.kinds import float_reason, kind_of, requantizing_concats
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile, highest
from quantize.measurement.operators.origins import find_origins, multiply_adds, weight_shapes
from quantize.measurement.operators.shape_notes import shape_notes
from quantize.measurement.operators.trace import NodeTrace, Trace, read_trace
from quantize.measurement.timing.blocks import round_order
from quantize.measurement.timing.interleave import collector_paused
from quantize.measurement.timing.plan import Plan
from quantize.models.reading import read_model
from quantize.models.session import open_session
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

__all__ = ["ModelProfile", "OperatorTime", "Profile", "profile"]

_RUNS_A_BLOCK = 5
_WARMUP = 2
# The outer quarters are left out on either side: what disturbs a run hits few of its nodes.
_TRIM = 0.25
_FLOAT_BYTES = 4


def profile(
    plan: Plan,
    inputs: Mapping[str, Sequence[npt.NDArray[np.generic]]],
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
    name_nodes(reference.graph.node)
    with tempfile.TemporaryDirectory(prefix="quantize-profile-") as folder:
        traces = _run(plan, inputs, names, runs, Path(folder), progress)
        graphs = [onnx.load(_optimized(Path(folder), index)) for index in range(len(names))]
    counts = multiply_adds(reference, traces[0].nodes, find_origins(reference, traces[0].nodes))
    saved = read_model(plan.models[candidate])
    models = [
        _model_profile(name, trace, graph, reference, counts, saved if name == candidate else None, recipe)
        for name, trace, graph in zip(names, traces, graphs, strict=True)
    ]
    machine = measure_cpu.this_machine(plan.threads).machine
    peaks = machine.peaks(plan.threads)
    return Profile(
        baseline=models[0],
        candidate=models[1],
        peak=highest(peaks),
        peaks=peaks,
        memory_rate=machine.memory_rate,
        runs=runs,
        threads=plan.threads,
    )


def _run(
    plan: Plan,
    inputs: Mapping[str, Sequence[npt.NDArray[np.generic]]],
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
    layers, weights = layer_kinds(reference), weight_shapes(reference)
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
                layer=None if origin is None else layers.get(origin),
                fp32_bytes=None if origin is None else _fp32_bytes(node, weights.get(origin)),
            )
        )
    inside = np.sum([node.runs_ns for node in trace.nodes], axis=0)
    outside = float(np.median(np.array(trace.runs_ns) - inside))
    return ModelProfile(name=name, operators=tuple(found), outside_ns=max(0.0, outside))


def _fp32_bytes(node: NodeTrace, weight: Shape | None) -> int | None:
    """Return the bytes in fp32 of a product's weights, input and result; None where a size is not known."""
    sizes = [size for size in weight or () if isinstance(size, int)]
    if not weight or len(sizes) < len(weight) or not node.inputs or not node.outputs:
        return None
    return _FLOAT_BYTES * (math.prod(sizes) + math.prod(node.inputs[0][1]) + math.prod(node.outputs[0][1]))


def _middle(runs_ns: Sequence[int]) -> float:
    return float(stats.trim_mean(runs_ns, _TRIM))


def _optimized(folder: Path, index: int) -> Path:
    return folder / f"optimized-{index}.onnx"
