"""The fp32 model with its weights on the grids of a quantized one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from quantize.formats.qdq_pattern import constant_integers
from quantize.formats.twins import part_of
from quantize.graph.nodes import WEIGHTED, attribute, is_op, reads
from quantize.graph.shell import without_constants
from quantize.graph.view import Graph
from quantize.grid.grid import Grid
from quantize.models.weights_apart import WeightsApart, weights_apart


@contextmanager
def grid_weights_apart(reference: ModelProto, graph: Graph, origins: Mapping[str, str]) -> Iterator[WeightsApart]:
    """Yield the fp32 model with each layer's weights rounded to the nearest values of its twin's grid.

    Args:
        reference: The fp32 model; not needed any more once this is entered.
        graph: The quantized model, in canonical form.
        origins: The fp32 model's node that each of its nodes computes, by name.
    """
    with weights_apart(without_constants(reference)) as apart:
        result = apart.model.graph
        own = {node.name: node for node in result.node}
        view = Graph.of(reference)
        for twin, nodes in _weighted(graph, own, origins):
            values = view.constant(twin.input[1])
            grid = _grid(graph, nodes, values.shape, _channel_axis(twin, values.ndim)) if values is not None else None
            if values is None or grid is None:
                continue
            name = f"{twin.input[1]}:{twin.name}:on_grid"
            parts = grid.placed_in_parts(values.astype(np.float32, copy=False))
            result.initializer.append(apart.put_parts(name, values.shape, parts))
            del values, parts  # half a gigabyte of a large layer
            view.forget_values()
            twin.input[1] = name
        used = {name for node in result.node for name in reads(node)} | {value.name for value in result.output}
        kept = [tensor for tensor in reference.graph.initializer if tensor.name in used]
        result.initializer.extend(apart.put(kept))
        del reference, graph, view, kept, own
        yield apart


def bias_steps(graph: Graph, nodes: Iterator[NodeProto]) -> Iterator[float]:
    """Yield the root mean square, over the channels, of the steps of integer layers' biases."""
    for node in nodes:
        source = constant_integers(graph, node.input[2]) if is_op(node, *WEIGHTED) and len(node.input) > 2 else None
        if source is not None:
            yield float(np.sqrt(np.mean(np.square(source[0].by.scale.astype(np.float64)))))


def _weighted(
    graph: Graph, own: Mapping[str, NodeProto], origins: Mapping[str, str]
) -> Iterator[tuple[NodeProto, list[NodeProto]]]:
    """Yield each layer of the fp32 model, and what computes it: several, in their order, where columns are parted."""
    nodes: dict[str, list[NodeProto]] = {}
    for node in graph.nodes:
        twin = own.get(origins.get(node.name, ""))
        if twin is not None and is_op(node, *WEIGHTED) and is_op(twin, *WEIGHTED):
            nodes.setdefault(twin.name, []).append(node)
    for name, computing in nodes.items():
        parts = {node.name: part_of(node.name) for node in computing}
        apart = all(part is not None for part in parts.values())
        yield own[name], sorted(computing, key=lambda node: parts[node.name] or 0) if apart else computing[:1]


def _grid(graph: Graph, nodes: Sequence[NodeProto], shape: tuple[int, ...], axis: int) -> Grid | None:
    steps = [_steps(graph, node) for node in nodes]
    known = [pair for pair in steps if pair is not None]
    if len(known) < len(steps):
        return None
    scale, zero_point = (np.concatenate(arrays) for arrays in zip(*known, strict=True))
    channels = shape[axis]
    if scale.size == 1 or scale.size < channels:
        return Grid(np.asarray(scale.max(), np.float32), np.asarray(zero_point.ravel()[0]))
    return Grid(scale[:channels], np.broadcast_to(zero_point, scale.shape)[:channels], axis)


def _steps(graph: Graph, node: NodeProto) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return the scales and zero points of a layer's weights."""
    quantized = constant_integers(graph, node.input[1])
    if quantized is not None:
        return quantized[0].by.scale.ravel(), quantized[0].by.zero_point.ravel()
    stored = graph.stored_weights(node.input[1])
    if stored is None:
        return None
    scale = numpy_helper.to_array(stored[1]).ravel()
    return scale, np.zeros(scale.shape, np.int8)


def _channel_axis(node: NodeProto, rank: int) -> int:
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    if node.op_type == "MatMul":
        return rank - 1
    return 1 if node.op_type == "ConvTranspose" else 0
