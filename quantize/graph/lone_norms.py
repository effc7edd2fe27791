"""Let a BatchNormalization that no Conv takes up be a Conv itself: depthwise, 1x1, which has an integer operator.

DenseNet and every pre-activation network normalize before the Conv. As floats between integers that takes 0.35 ns a
value, as a depthwise Conv, with the Relu behind it in its range, 0.08. Each channel has a scale of its own, and the
bias is one of 32 bits: nothing is rounded more than by the QuantizeLinear that it replaces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.graph.folding import Affine, affine_step
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph


def norms_as_convs(graph: Graph) -> bool:
    """Replace every BatchNormalization of an image, and Mul, Add, Sub, Div by channel in a row, by a depthwise Conv.

    A product or sum alone stays, as does what reads the model's own input. The node keeps its name.

    Returns:
        Whether there was one.
    """
    if not has_lone_norms(graph):
        return False
    shapes = graph.shapes()
    starts = [node for node in graph.nodes if _scales_channels(graph, node)]
    gone: set[int] = set()
    for node in starts:
        if id(node) in gone:
            continue
        source = next((name for name in node.input if name and graph.constant(name) is None), "")
        shape = shapes.get(source)
        channels = shape[1] if shape is not None and len(shape) == 4 else None
        if not isinstance(channels, int) or source in graph.inputs:
            continue
        steps, whole = _chain(graph, node, source, channels)
        if whole is None or (len(steps) < 2 and not is_op(node, "BatchNormalization")) or _is_plain(whole):
            continue
        gone.update(id(step) for step in steps)
        _replace(graph, steps, source, whole)
    return bool(gone)


def has_lone_norms(graph: Graph) -> bool:
    """Return whether anything scales or shifts channels; what stands next to a Conv has become part of it before."""
    return any(_scales_channels(graph, node) for node in graph.nodes)


def _scales_channels(graph: Graph, node: NodeProto) -> bool:
    if is_op(node, "BatchNormalization"):
        return True
    constants = (graph.constant(name) for name in node.input) if is_op(node, "Mul", "Add", "Sub", "Div") else ()
    return any(values is not None and values.ndim > 2 and values.size == values.shape[-3] > 1 for values in constants)


def _chain(graph: Graph, node: NodeProto, source: str, channels: int) -> tuple[list[NodeProto], Affine | None]:
    steps: list[NodeProto] = []
    whole: Affine | None = None
    following: NodeProto | None = node
    while following is not None:
        step = affine_step(graph, following, source, channels)
        if step is None:
            break
        whole = step if whole is None else Affine(step.scale * whole.scale, step.scale * whole.shift + step.shift)
        steps.append(following)
        source = following.output[0]
        following = graph.sole_consumer(source)
    return steps, whole


def _is_plain(whole: Affine) -> bool:
    """Return whether all channels have the same scale and shift: that is no normalization by channel."""
    return bool((whole.scale == whole.scale[0]).all() and (whole.shift == whole.shift[0]).all())


def _replace(graph: Graph, steps: list[NodeProto], source: str, whole: Affine) -> None:
    name, output = steps[0].name, steps[-1].output[0]
    graph.remove(steps)
    weights = _constant(graph, f"{name}_scale", whole.scale.reshape(-1, 1, 1, 1))
    bias = _constant(graph, f"{name}_shift", whole.shift)
    group = len(whole.scale)
    conv = graph.add("Conv", [source, weights, bias], [output], name=name, group=group, kernel_shape=[1, 1])
    conv.name = name  # recipes and profiles know it by this


def _constant(graph: Graph, hint: str, values: NDArray[np.float64]) -> str:
    return graph.add_constant(hint, values.astype(np.float32))
