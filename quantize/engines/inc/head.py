"""The end of a classifier, which stays in float: 256 levels there give images two equal top scores."""

from __future__ import annotations

from onnx import GraphProto

FLOAT_HEAD_TYPES = ("GlobalAveragePool", "Softmax")
"""Op types kept in fp32 by default: quantized, they give 4.8 % of ImageNet's images two equal top scores."""

_SCORE_KEEPING = ("Softmax", "LogSoftmax", "Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze")


def score_bias_names(graph: GraphProto) -> list[str]:
    """Return the names that the op may have that adds the bias of the layer that gives the scores.

    Neural Compressor splits a Gemm into a MatMul and an Add and, in QLinear only, quantizes the Add: the scores then
    have 256 levels. (Measured on EfficientNet-Lite0: 2 % of images with two equal top scores, none with this Add in
    fp32.) It is named after the Gemm, which onnxruntime may itself have made of a MatMul and an Add.

    Args:
        graph: The fp32 graph; its first output is the scores.
    """
    producers = {output: node for node in graph.node for output in node.output}
    node = producers.get(graph.output[0].name)
    while node is not None and node.op_type in _SCORE_KEEPING:
        node = producers.get(node.input[0])
    if node is not None and node.op_type == "Gemm":
        return [f"{node.name}_Add"]
    if node is not None and node.op_type == "Add":
        products = [producers[name] for name in node.input if name in producers]
        fused = [f"{product.name}/MatMulAddFusion_Add" for product in products if product.op_type == "MatMul"]
        return [node.name, *fused] if fused else []
    return []
