"""The first Conv, on few channels with a stride, as SpaceToDepth and a Conv of stride 1 on stride**2 as many channels.

onnxruntime's integer Conv has a fast path for input channels in multiples of 4; 3 channels take the slow one, through
an im2col copy. With x the padded input, stride s and ky - pad = s * m + r (0 <= r < s), the sum over ky of
``W[ky] * x[s * y + ky - pad]`` is a sum over m of ``W[m, r] * x_r[y + m]``, where ``x_r`` is every s-th row from r on:
what SpaceToDepth puts into channels. The integer sums are the same, so the result is bit-equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_quantize, node_parameters
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import attribute, explicit_pads, is_op
from quantize.graph.shapes import Shape, fixed_sizes
from quantize.graph.view import Graph
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower
from quantize.rewrites.stem_moves import SPACE_TO_DEPTH_MOVE

FEW_CHANNELS = 4
STRIDES = (2, 4)


@dataclass(frozen=True)
class Fold:
    """How one axis is folded: kernel positions to (cell, place in the cell), and the sizes that follow.

    Attributes:
        stride: Places in a cell.
        cells: Cells that the new kernel covers.
        places: For each kernel position its index on the axis of length ``cells * stride``.
        before: Cells of padding before the first.
        after: Cells of padding after the last.
        length: What the input must be padded (or cut) to, at its end, before it is folded.
    """

    stride: int
    cells: int
    places: tuple[int, ...]
    before: int
    after: int
    length: int

    @classmethod
    def of(cls, *, size: int, kernel: int, stride: int, pad_before: int, pad_after: int) -> Fold:
        """Fold an axis of ``size`` pixels under a kernel with a stride and padding."""
        first = -pad_before // stride
        last = (kernel - 1 - pad_before) // stride
        outputs = (size + pad_before + pad_after - kernel) // stride + 1
        needed = outputs + last
        there = -(-size // stride)
        return cls(
            stride=stride,
            cells=last - first + 1,
            places=tuple(position - pad_before - first * stride for position in range(kernel)),
            before=-first,
            after=max(needed - there, 0),
            length=min(needed, there) * stride,
        )


def _apply(graph: Graph) -> Sequence[str]:
    weights = [own for node in graph.sorted_nodes() if (own := _weights(graph, node)) is not None]
    shapes = graph.shapes() if weights else {}
    return [own.node.name for own in weights if _rewrite(graph, own, shapes.get(own.node.input[0]))]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    convs = [node for node in graph.nodes if node.name in names]
    return [f"{node.name} still has a stride" for node in convs if attribute(node, "strides") != [1, 1]]


def _weights(graph: Graph, node: NodeProto) -> ConvWeights | None:
    """Return the weights of a Conv that could be folded, whatever its input's size."""
    strides = attribute(node, "strides", [1, 1]) if is_op(node, "Conv") else []
    if len(strides) != 2 or strides[0] != strides[1] or strides[0] not in STRIDES:
        return None
    if any(step != 1 for step in attribute(node, "dilations", [1])):
        return None
    weights = ConvWeights.of(graph, node)
    few = weights is not None and weights.integers.ndim == 4 and weights.integers.shape[1] <= FEW_CHANNELS
    return weights if few else None


def _rewrite(graph: Graph, weights: ConvWeights, shape: Shape | None) -> bool:
    node, values = weights.node, weights.integers
    source = quantized_input(graph, node.input[0])
    sizes = fixed_sizes(shape[2:]) if shape is not None else None
    pads = explicit_pads(node, sizes, values.shape[2:]) if sizes is not None else None
    if source is None or source.by.axis is not None or sizes is None or pads is None:
        return False
    stride = attribute(node, "strides")[0]
    folds = [
        Fold.of(size=sizes[axis], kernel=values.shape[2 + axis], stride=stride, pad_before=before, pad_after=after)
        for axis, (before, after) in enumerate(zip(pads[:2], pads[2:], strict=True))
    ]
    pixels = _padded(graph, node.input[0], [fold.length - size for fold, size in zip(folds, sizes, strict=True)])
    cells = graph.fresh(f"{node.name}_cells_float")
    graph.add("SpaceToDepth", [pixels], [cells], name=f"{node.name}_{SPACE_TO_DEPTH_MOVE}", blocksize=stride)
    add_quantize(graph, cells, source.by, integers := graph.fresh(f"{node.name}_cells"))
    folded = graph.add_constant(f"{weights.source.integers}_folded", _fold_weight(weights, folds))
    data = add_dequantize(graph, integers, source.by)
    inputs = [data, add_dequantize(graph, folded, weights.source.by), *node.input[2:]]
    graph.remove([node])
    pads = [*(fold.before for fold in folds), *(fold.after for fold in folds)]
    kept: dict[str, Any] = {"kernel_shape": [fold.cells for fold in folds], "pads": pads, "strides": [1, 1]}
    graph.add("Conv", inputs, list(node.output), name=node.name, **kept)
    return True


def _padded(graph: Graph, pixels: str, extra: list[int]) -> str:
    """Pad (or, where negative, cut) both axes at their end with what the zero point stands for: zero."""
    if not any(extra):
        return pixels
    source = graph.producer(pixels)
    by = node_parameters(graph, source) if source is not None else None
    assert by is not None
    pads = graph.add_constant(f"{pixels}_pads", np.array([0, 0, 0, 0, 0, 0, *extra], np.int64))
    zero = graph.add_constant(f"{pixels}_zero", np.array(0, np.float32))
    padded = graph.fresh(f"{pixels}_padded_float")
    graph.add("Pad", [pixels, pads, zero], [padded], name=f"{pixels}_Pad", mode="constant")
    add_quantize(graph, padded, by, integers := graph.fresh(f"{pixels}_padded"))
    return add_dequantize(graph, integers, by)


def _fold_weight(weights: ConvWeights, folds: Sequence[Fold]) -> NDArray[Any]:
    """Return the weight (outputs, stride * stride * channels, cells, cells) of the folded Conv.

    SpaceToDepth puts pixel (y, x) of channel c into channel ``(y % stride * stride + x % stride) * channels + c``.
    Kernel positions that the original does not have get the weight's zero point.
    """
    outputs, channels = weights.integers.shape[:2]
    rows, columns = folds
    stride = rows.stride
    wide = np.empty((outputs, channels, rows.cells * stride, columns.cells * stride), weights.integers.dtype)
    wide[...] = weights.zero_points
    wide[np.ix_(range(outputs), range(channels), rows.places, columns.places)] = weights.integers
    split = wide.reshape(outputs, channels, rows.cells, stride, columns.cells, stride)
    return split.transpose(0, 3, 5, 1, 2, 4).reshape(outputs, stride * stride * channels, rows.cells, columns.cells)


SPACE_TO_DEPTH = Rewrite("space-to-depth", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every quantized Conv with stride 2 or 4, no groups or dilations, on up to 4 channels of a fixed size."""
