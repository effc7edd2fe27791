"""Profile two models in turns and identify their operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto
from scipy import stats

from quantize.files import scratch_folder
from quantize.graph.cleaning import name_nodes
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.model_layers import layer_forms
from quantize.measurement.operators.fused_functions import FUSED
from quantize.measurement.operators.kinds import float_reason, kind_of, requantizing_concats
from quantize.measurement.operators.multiply_adds import multiply_adds
from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile, best_rates
from quantize.measurement.operators.origins import find_origins, weight_shapes
from quantize.measurement.operators.trace import NodeTrace, Trace, optimized_graph, run_profiled
from quantize.measurement.timing.plan import Plan
from quantize.models.reading import read_model
from quantize.progress import Progress, silent
from quantize.recipe import Recipe

# The highest and lowest quarter are left out: a disturbance hits few nodes of a run.
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
        recipe: What the candidate was made by, if known; explains which layers were kept in fp32 on purpose.
        progress: Called with the number of blocks done.

    Raises:
        ValueError: The plan has no baseline.
    """
    if plan.baseline is None:
        raise ValueError("a profile needs a baseline")
    names = (plan.baseline, candidate)
    with scratch_folder("profile") as folder:
        traces = run_profiled(plan, inputs, names, runs, folder, progress)
        graphs = [optimized_graph(folder, index) for index in range(len(names))]
    reference = read_model(plan.models[plan.baseline])  # not beside the sessions: each holds its weights
    name_nodes(reference.graph.node)
    origins = [
        find_origins(reference, trace.nodes, weight_shapes(graph), graph)
        for trace, graph in zip(traces, graphs, strict=True)
    ]
    counts = multiply_adds(reference, traces[0].nodes, origins[0])
    called = _operators(reference, traces[0].nodes, origins[0])
    saved = read_model(plan.models[candidate])
    models = [
        _model_profile(name, trace, own, graph, reference, counts, called, saved if name == candidate else None, recipe)
        for name, trace, own, graph in zip(names, traces, origins, graphs, strict=True)
    ]
    machine = measure_cpu.this_machine(plan.threads).machine
    peak_rates = machine.peak_rates(plan.threads)
    return Profile(
        baseline=models[0],
        candidate=models[1],
        peak=best_rates(peak_rates),
        peaks=peak_rates,
        memory_rate=machine.memory_rate,
        runs=runs,
        threads=plan.threads,
    )


def _model_profile(
    name: str,
    trace: Trace,
    origins: Sequence[str | None],
    optimized: ModelProto,
    reference: ModelProto,
    counts: dict[str, int],
    called: Mapping[str, str],
    saved: ModelProto | None,
    recipe: Recipe | None,
) -> ModelProfile:
    requantizing = requantizing_concats(optimized)
    operators = {node.name: node.op_type for node in reference.graph.node}
    forms, weights = layer_forms(reference), weight_shapes(reference)
    saved_graph = Graph.of(saved) if saved is not None else None
    rows = []
    for node, origin in zip(trace.nodes, origins, strict=True):
        kind = kind_of(node, requantizing)
        form = None if origin is None else forms.get(origin)
        origin_op = None if origin is None else operators[origin]
        reason = None
        if node.op_type == "QLinearConcat" and kind == "conversion":
            reason = "unequal scales"
        elif saved_graph is not None and kind == "fp32":
            reason = float_reason(saved_graph, origin, origin_op or node.op_type, recipe)
        rows.append(
            OperatorTime(
                name=node.name,
                op_type=node.op_type,
                kind=kind,
                origin=origin,
                origin_op=None if origin is None else called[origin],
                time_ns=_middle(node.runs_ns),
                multiply_adds=None if origin is None else counts.get(origin),
                reason=reason,
                shape_note=None if form is None else form.note,
                layer=None if form is None else form.kind,
                fp32_bytes=None if origin is None else _fp32_bytes(node, weights.get(origin)),
            )
        )
    inside = np.sum([node.runs_ns for node in trace.nodes], axis=0)
    outside = float(np.median(np.array(trace.runs_ns) - inside))
    return ModelProfile(name=name, operators=tuple(rows), outside_ns=max(0.0, outside))


def _operators(reference: ModelProto, nodes: Sequence[NodeTrace], origins: Sequence[str | None]) -> dict[str, str]:
    """Return the operator of each of the fp32 model's nodes: what onnxruntime makes one of several is called that."""
    operators = {node.name: node.op_type for node in reference.graph.node}
    own = frozenset(operators.values())
    for node, origin in zip(nodes, origins, strict=True):
        if origin is not None and node.op_type in FUSED and node.op_type not in own:
            operators[origin] = node.op_type
    return operators


def _fp32_bytes(node: NodeTrace, weight: Shape | None) -> int | None:
    """Return the bytes in fp32 of a product's weights, input and result; None if a size is not known."""
    sizes = [size for size in weight or () if isinstance(size, int)]
    if not weight or len(sizes) < len(weight) or not node.inputs or not node.outputs:
        return None
    return _FLOAT_BYTES * (math.prod(sizes) + math.prod(node.inputs[0][1]) + math.prod(node.outputs[0][1]))


def _middle(runs_ns: Sequence[int]) -> float:
    return float(stats.trim_mean(runs_ns, _TRIM))
