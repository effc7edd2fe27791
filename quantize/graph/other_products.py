"""The multiply-adds of operators that multiply matrices inside: sums by Einstein's convention, recurrence, attention.

None of them computes on integers between DequantizeLinear and QuantizeLinear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from onnx import NodeProto

from quantize.graph.nodes import DEFAULT_DOMAIN, MICROSOFT, attribute, operator_of

Sizes = Mapping[str, Sequence[int]]


def multiplies_inside(node: NodeProto) -> bool:
    """Return whether a node multiplies matrices, but is no convolution or matrix product."""
    return operator_of(node) in _COUNTS


def inner_multiply_adds(node: NodeProto, sizes: Sizes) -> int | None:
    """Return the multiply-adds of such a node on everything that it is given, or None if they are not known.

    Args:
        node: One that multiplies inside.
        sizes: By tensor.
    """
    count = _COUNTS[operator_of(node)]
    return None if count is None else count(node, sizes)


def _of_einsum(node: NodeProto, sizes: Sizes) -> int | None:
    """Count one for each choice of all indices, and operand beyond the second."""
    terms = attribute(node, "equation", "").replace(" ", "").partition("->")[0].split(",")
    operands = [sizes.get(name) for name in node.input]
    extent: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=False):
        if operand is None or "." in term or len(term) != len(operand):  # an ellipsis stands for any number of axes
            return None
        for index, size in zip(term, operand, strict=True):
            extent[index] = max(size, extent.get(index, 0))  # a size of 1 is repeated
    return math.prod(extent.values()) * max(len(terms) - 1, 0)


def _of_recurrence(node: NodeProto, sizes: Sizes) -> int | None:
    """Count weights of inputs and states once a step and sequence: (steps, batch, inputs), or the batch first."""
    data, *weights = (sizes.get(name) for name in node.input[:3])
    if data is None or len(weights) < 2 or any(weight is None for weight in weights):
        return None
    return data[0] * data[1] * sum(math.prod(weight) for weight in weights if weight is not None)


def _of_attention(node: NodeProto, sizes: Sizes) -> int | None:
    """Count queries by keys, and weights by values: each query's size, and each result's, once a key."""
    queries, keys, result = (sizes.get(name) for name in (*node.input[:2], node.output[0]))
    if queries is None or keys is None or result is None or any(node.input[4:6]):  # keys of before are more
        return None
    return (math.prod(queries) + math.prod(result)) * keys[-2]


_UNCOUNTED = (
    "AttnLSTM",
    "Attention",
    "DecoderMaskedMultiHeadAttention",
    "DynamicQuantizeLSTM",
    "GroupQueryAttention",
    "LinearAttention",
    "MatMulBnb4",
    "MatMulFpQ4",
    "MatMulNBits",
    "MoE",
    "MultiHeadAttention",
    "NhwcFusedConv",
    "PackedAttention",
    "PackedMultiHeadAttention",
    "QAttention",
    "QMoE",
    "SparseAttention",
    "WordConvEmbedding",
)
"""Operators of onnxruntime's own."""

_Count = Callable[[NodeProto, Sizes], int | None]
_COUNTS: Mapping[tuple[str, str], _Count | None] = {
    (DEFAULT_DOMAIN, "Einsum"): _of_einsum,
    **{(DEFAULT_DOMAIN, name): _of_recurrence for name in ("GRU", "LSTM", "RNN")},
    (DEFAULT_DOMAIN, "Attention"): _of_attention,
    **dict.fromkeys([(DEFAULT_DOMAIN, "DeformConv"), *((MICROSOFT, name) for name in _UNCOUNTED)]),
}
"""How each is counted; None: not at all, and it is said."""
