"""Fold a BatchNormalization into the Convs behind it, where it stands behind none that could take it up.

A Conv that pads nothing applies its weights to normalized values alone, so that the scale of each channel is one of the
weights and the shift a part of the bias. A padded Conv sees zeros beside them, which the shift would move: there the
BatchNormalization stays (``lone_norms``).
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from quantize.graph.folding import Affine, affine_step, replace_constant
from quantize.graph.nodes import attribute, is_op
from quantize.graph.view import Graph


def fold_forward(graph: Graph) -> None:
    """Fold every BatchNormalization that only Convs without padding read into these.

    The products are computed in float64 and stored in float32.
    """
    for norm in list(graph.nodes):
        if not is_op(norm, "BatchNormalization") or graph.is_output(norm.output[0]):
            continue
        convs = graph.consumers(norm.output[0])
        scale = graph.constant(norm.input[1])
        if scale is None or not convs or not all(_takes_up(graph, conv, norm.output[0]) for conv in convs):
            continue
        affine = affine_step(graph, norm, norm.input[0], scale.size)
        if affine is None:
            continue
        for conv in convs:
            _fold(graph, conv, affine)
            graph.set_input(conv, 0, norm.input[0])
        graph.remove([norm])


def _takes_up(graph: Graph, node: NodeProto, source: str) -> bool:
    if not is_op(node, "Conv") or list(node.input).count(source) != 1 or node.input[0] != source:
        return False
    parameters = [graph.constant(name) for name in node.input[1:] if name]
    if not parameters or any(values is None or values.dtype != np.float32 for values in parameters):
        return False
    return attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID") and not any(attribute(node, "pads") or ())


def _fold(graph: Graph, conv: NodeProto, affine: Affine) -> None:
    weights = graph.constant(conv.input[1])
    assert weights is not None
    group = attribute(conv, "group", 1)
    outputs, channels = weights.shape[:2]
    # Output by output, the scale and shift of the channels that it reads: (outputs, channels of a group, 1, ...).
    scale, shift = (
        np.repeat(values.reshape(group, channels), outputs // group, axis=0).reshape(
            outputs, channels, *[1] * (weights.ndim - 2)
        )
        for values in (affine.scale, affine.shift)
    )
    bias = graph.constant(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.zeros(outputs)
    assert bias is not None
    whole = weights.astype(np.float64)
    replace_constant(graph, conv, 2, bias + (whole * shift).reshape(outputs, -1).sum(axis=1))
    replace_constant(graph, conv, 1, whole * scale)
