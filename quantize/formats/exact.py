"""The same sums on every x86 CPU: int8 weights stored as uint8, and sessions that compute with them.

Without VNNI, onnxruntime adds two neighbouring products of uint8 activations and int8 weights in 16 bits, where they
can saturate (see ``formats.saturation``). An int8 weight and its zero point raised by 128 stand for the same real
number in uint8, and products of uint8 with uint8 are added in 32 bits: the bits that a CPU with VNNI gives.
onnxruntime's option ``session.x64quantprecision`` does the same when a session opens, but 1.32 fails to open some
graphs with it ("Attempt to replace the existing tensor").
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto

from quantize.formats.float_weights import guard_float_layers
from quantize.formats.qdq_pattern import dequantize_behind
from quantize.formats.saturation import is_depthwise, weights_can_saturate
from quantize.formats.unsigned import Unsigned, integer_type
from quantize.graph.nodes import DEFAULT_DOMAIN, INTEGER_WEIGHTED, MICROSOFT, attribute, is_op
from quantize.graph.view import Graph
from quantize.models.reading import read_model
from quantize.models.session import Optimization, open_session, sums_saturate

_PLACES = {
    (DEFAULT_DOMAIN, "QLinearConv"): (0, 2, 3, 5),
    (MICROSOFT, "QLinearConv"): (0, 2, 3, 5),
    (DEFAULT_DOMAIN, "QLinearMatMul"): (0, 2, 3, 5),
    (MICROSOFT, "QGemm"): (0, 2, 3, 5),
    (DEFAULT_DOMAIN, "ConvInteger"): (0, 2, 1, 3),
    (DEFAULT_DOMAIN, "MatMulInteger"): (0, 2, 1, 3),
    (MICROSOFT, "MatMulIntegerToFloat"): (0, 4, 1, 5),
    (MICROSOFT, "DynamicQuantizeMatMul"): (None, None, 1, 3),
}
"""Inputs of the operators that multiply integers: activations, their zero point, weights, theirs. The last operator
takes float activations, which it quantizes to uint8 by itself."""


def with_unsigned_weights(
    model: ModelProto, nodes: Collection[str] | None = None, *, only_saturating: bool = False
) -> ModelProto:
    """Return a copy of a model in which int8 weights that are multiplied with uint8 activations are uint8.

    Scales, biases and results are the same: a zero point is subtracted from its weight before anything is multiplied.
    Zero points that are equal across channels, as onnxruntime wants them, stay so: 128 where they were 0. Depthwise
    layers stay as they are: their kernel, which takes signed weights only, adds in 32 bits. Layers of int8 activations
    stay too, since no kernel multiplies those with uint8; between QuantizeLinear and DequantizeLinear onnxruntime makes
    such activations uint8 when a session opens on x86, which ``open_exact_session`` forbids.

    Args:
        model: In any format; a float model comes back as it is.
        nodes: The names of the nodes to write so; None: all. Names that the graph does not have count for nothing.
        only_saturating: Leave out layers whose sums stay within 16 bits whatever the input is.
    """
    graph = Graph(model)
    unsigned = Unsigned(graph)
    for node in graph.sorted_nodes():
        if nodes is not None and node.name not in nodes:
            continue
        if (node.domain, node.op_type) in _PLACES:
            _integer_operator(graph, unsigned, node, only_saturating=only_saturating)
        elif is_op(node, *INTEGER_WEIGHTED):
            _float_operator(graph, unsigned, node, only_saturating=only_saturating)
    return graph.model()


def open_exact_session(
    model: ModelProto | Path,
    *,
    threads: int = 1,
    optimization: Optimization = "all",
    arena: bool = True,
    prepacking: bool = True,
    data: Path | None = None,
    where: str | None = None,
) -> onnxruntime.InferenceSession:
    """Return a session that computes what the graph says, without saturation, whatever the CPU.

    Layers of float weights stay float too: those that onnxruntime quantizes when a session opens (see
    ``formats.float_weights``) get int8 weights, which saturate.

    Args:
        model: A model in any format, or its file.
        threads: Intra-op threads.
        optimization: How far onnxruntime may rewrite the graph.
        arena: See ``open_session``.
        prepacking: See there.
        data: Folder of the model's external data, of float32 alone.
        where: The model's name in errors; by default its path.

    Raises:
        ModelError: The file is no readable model, or onnxruntime cannot load it.
    """
    given = read_model(model) if isinstance(model, Path) else model
    saturate = sums_saturate()
    # Where nothing saturates, the model itself gives the same bits, and int8 weights have faster kernels: 3 to 6 times
    # with VNNI, 1.3 times for layers of 7 bits without it.
    if saturate:
        exact = with_unsigned_weights(given, only_saturating=True)
    elif given is model:
        exact = ModelProto()
        exact.CopyFrom(given)
    else:
        exact = given
    guard_float_layers(exact)
    serialized = exact.SerializeToString()
    where = str(model) if where is None and isinstance(model, Path) else where
    del exact, given  # opening takes as much once more
    return open_session(
        serialized,
        threads=threads,
        optimization=optimization,
        arena=arena,
        prepacking=prepacking,
        keep_int8=saturate,
        data=data,
        where=where,
    )


def _integer_operator(graph: Graph, unsigned: Unsigned, node: NodeProto, *, only_saturating: bool) -> None:
    activations, their_zero_point, weights, zero_point = _PLACES[node.domain, node.op_type]
    names = [*node.input, *[""] * (zero_point + 1 - len(node.input))]
    if activations is not None and their_zero_point is not None:
        given = names[their_zero_point] if their_zero_point < len(names) else ""
        if integer_type(graph, names[activations], given) != np.uint8:
            return
    if integer_type(graph, names[weights], names[zero_point]) != np.int8:
        return
    if _keeps_signed(graph, node, names[weights], moved=False, only_saturating=only_saturating):
        return
    raised = unsigned.zero_point(names[zero_point], shape=())
    if raised is None:
        return
    node.input.extend([""] * (zero_point + 1 - len(node.input)))
    graph.set_input(node, weights, unsigned.integers(names[weights]))
    graph.set_input(node, zero_point, raised)


def _float_operator(graph: Graph, unsigned: Unsigned, node: NodeProto, *, only_saturating: bool) -> None:
    activations, weights = (dequantize_behind(graph, name) for name in node.input[:2])
    if activations is None or weights is None:
        return
    if _type_behind(graph, activations) != np.uint8 or _type_behind(graph, weights) != np.int8:
        return
    moved = graph.producer(node.input[1]) is not weights
    if _keeps_signed(graph, node, weights.input[0], moved=moved, only_saturating=only_saturating):
        return
    raised = unsigned.reals(node.input[1])
    if raised is not None:
        graph.set_input(node, 1, raised)


def _type_behind(graph: Graph, dequantize: NodeProto) -> np.dtype[np.generic] | None:
    return integer_type(graph, dequantize.input[0], dequantize.input[2] if len(dequantize.input) > 2 else "")


def _keeps_signed(graph: Graph, node: NodeProto, weights: str, *, moved: bool, only_saturating: bool) -> bool:
    """Return whether a layer's weights stay int8: depthwise ones, or those whose sums stay within 16 bits."""
    values = graph.constant(weights)
    if values is None:  # weights that only the input decides
        return False
    if node.op_type in ("Conv", "QLinearConv") and is_depthwise(values.shape, attribute(node, "group", 1)):
        return True
    return only_saturating and not weights_can_saturate(node, values, moved=moved)
