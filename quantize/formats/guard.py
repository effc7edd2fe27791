"""Keeping layers in fp32 that stand between quantized ones.

When a session opens, onnxruntime's WeightBiasQuantization puts the float weights of a Conv or Gemm on int8, with one
scale for the whole tensor, wherever the input is dequantized with one scale and the output is quantized: a layer kept
in fp32 for its accuracy would be quantized worse than any other. It leaves alone what is dequantized by channel, so
such layers get their own DequantizeLinear with the same scale written once for every channel.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantize.formats.stored import stored_initializers

_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm"})
_BOUNDS = frozenset({"Relu", "Clip"})
_MICROSOFT = "com.microsoft"


def guard_float_layers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Change ``model`` so that its float layers stay float when a session opens.

    Works on both formats. Below opset 13, where DequantizeLinear knows no channels, onnxruntime's own is used.

    Returns:
        The names of the layers that needed it.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = stored_initializers(model)
    guarded = []
    for node in list(model.graph.node):
        weight = _float_weights(node, constants, stored) if node.op_type in _LAYERS else None
        if weight is None:
            continue
        dequantize = makers.get(node.input[0])
        if dequantize is None or dequantize.op_type != "DequantizeLinear" or dequantize.input[1] not in constants:
            continue
        if np.prod(constants[dequantize.input[1]].dims, dtype=np.int64) == 1 and _quantized_next(node, readers):
            _by_channel(model, node, weight, dequantize, constants)
            guarded.append(node.name)
    return tuple(guarded)


def _float_weights(
    node: onnx.NodeProto, constants: dict[str, TensorProto], stored: dict[str, TensorProto]
) -> TensorProto | None:
    """Return the tensor that holds a layer's weights where it computes on floats: fp32, or stored in int8."""
    weight = constants.get(node.input[1])
    return weight if weight is not None and weight.data_type == TensorProto.FLOAT else stored.get(node.input[1])


def _quantized_next(node: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]]) -> bool:
    following = readers.get(node.output[0], [])
    if len(following) != 1:
        return False
    if following[0].op_type in _BOUNDS:
        return _quantized_next(following[0], readers)
    return bool(following[0].op_type == "QuantizeLinear")


def _by_channel(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    weight: TensorProto,
    dequantize: onnx.NodeProto,
    constants: dict[str, TensorProto],
) -> None:
    channels = _input_channels(node, weight)
    names = [dequantize.input[0]]
    for name in dequantize.input[1:]:
        repeated = np.full(channels, numpy_helper.to_array(constants[name]).reshape(()))
        own = f"{name}:{node.name}"
        model.graph.initializer.append(numpy_helper.from_array(repeated, own))
        names.append(own)
    output = f"{dequantize.output[0]}:{node.name}"
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    domain = dequantize.domain
    if opset < 13 and not domain:
        domain = _MICROSOFT
        if not any(entry.domain == _MICROSOFT for entry in model.opset_import):
            model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    own_node = helper.make_node(
        "DequantizeLinear", names, [output], f"{dequantize.name}:{node.name}", axis=1, domain=domain
    )
    nodes = list(model.graph.node)
    nodes.insert(nodes.index(node), own_node)
    node.input[0] = output
    used = {name for other in nodes for name in other.input} | {value.name for value in model.graph.output}
    if dequantize.output[0] not in used:
        nodes.remove(dequantize)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _input_channels(node: onnx.NodeProto, weight: TensorProto) -> int:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Gemm":
        return int(weight.dims[1] if attributes.get("transB", 0) else weight.dims[0])
    if node.op_type == "ConvTranspose":
        return int(weight.dims[0])
    return int(weight.dims[1] * attributes.get("group", 1))
