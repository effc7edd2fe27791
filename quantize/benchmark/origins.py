"""Which operator of the fp32 model a node of an optimized or quantized graph comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onnx import ModelProto, NodeProto

from quantize.benchmark.multiply_adds import ARITHMETIC_OPS
from quantize.benchmark.trace import NodeTrace

# What onnxruntime and the quantizers put around the name of the node, or of its output, that a node comes from.
_PREFIX = re.compile(r"^(?:fused )+")
_SUFFIX = re.compile(r"(?:_token_\d+|_nchwc|_nhwc|_quant|_quantized|/fused)$")
# Operators that onnxruntime fuses into the product before them.
_FUSED = frozenset({"Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "BatchNormalization", "Mul", "Add"})
_PRODUCTS = ARITHMETIC_OPS | {
    "QLinearConv",
    "ConvInteger",
    "QLinearMatMul",
    "MatMulInteger",
    "QGemm",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "DynamicQuantizeMatMul",
}


def is_product(op_type: str) -> bool:
    """Return whether an operator, fp32 or int8, is a convolution or a matrix product."""
    return op_type in _PRODUCTS


def find_origins(model: ModelProto, nodes: Sequence[NodeTrace]) -> list[str | None]:
    """Return, for each node that ran, the name of the fp32 model's node that it computes.

    First by name: onnxruntime and the quantizers keep the name of the node, or of its output, within theirs. Then, if
    as many products are left over on both sides, by their order, which quantization does not change.

    Args:
        model: The fp32 model, its nodes named.
        nodes: Of a session of it, or of a quantized model made from it, in the order that they ran.

    Returns:
        A name for each, or None: conversions, for example.
    """
    named = {node.name: node for node in model.graph.node if node.name}
    producers = {output: node for node in model.graph.node for output in node.output if output}
    found = [_by_name(node, named, producers) for node in nodes]
    taken = set(found)
    left = [index for index, node in enumerate(nodes) if found[index] is None and is_product(node.op_type)]
    products = [node.name for node in model.graph.node if node.op_type in ARITHMETIC_OPS and node.name not in taken]
    if len(left) == len(products):
        for index, name in zip(left, products, strict=True):
            found[index] = name
    return found


def _by_name(node: NodeTrace, named: dict[str, NodeProto], producers: dict[str, NodeProto]) -> str | None:
    if is_conversion_name(node.op_type):
        return None
    for name in _inner_names(node.name):
        origin = named.get(name) or producers.get(name)
        while origin is not None and is_product(node.op_type) and origin.op_type in _FUSED:
            origin = producers.get(origin.input[0])
        if origin is not None and is_product(node.op_type) == (origin.op_type in ARITHMETIC_OPS):
            return str(origin.name)
    return None


def is_conversion_name(op_type: str) -> bool:
    """Return whether nodes of an operator are named after a tensor that they convert, not after what they compute."""
    return op_type in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ReorderInput", "ReorderOutput")


def _inner_names(name: str) -> list[str]:
    """Return a name and what is left of it as suffix after suffix is taken off."""
    names = [_PREFIX.sub("", name)]
    while (shorter := _SUFFIX.sub("", names[-1])) != names[-1]:
        names.append(shorter)
    return names
