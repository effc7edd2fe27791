"""The pixels under the first Conv's kernel as channels of one pixel, by copies of rows: a Conv of one pixel is left.

onnxruntime's integer Conv reads a kernel of several pixels through a table of pointers, which takes about a nanosecond
an entry, and ``stem-by-rows`` leaves zeros in the kernel: 48 products for the 27 of a kernel of 3x3 pixels of 3
channels. Here a Gather lays down the rows of the image under each row of the kernel, a Transpose puts columns first, a
second Gather lays down the columns under each column of the kernel, and a Transpose back makes them channels of the
output's pixels. Each Gather copies whole rows, and each Transpose is of two axes, which onnxruntime does with vector
instructions.

Rows and columns beside the image are copies of a row of zero points. The weight is permuted, and filled up to
channels in fours by its zero point: the integer sums are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.activation_bounds import clip_bounds
from quantize.formats.parameters import Parameters, add_dequantize, add_move, is_dequantize, is_quantize
from quantize.formats.qdq_pattern import quantized_input
from quantize.graph.nodes import attribute, explicit_pads, is_op
from quantize.graph.shapes import fixed_sizes
from quantize.graph.view import Graph
from quantize.rewrites.channel_padding import INPUT_CHANNELS
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower
from quantize.rewrites.stem_by_rows import VECTOR, RowMoves, row_moves
from quantize.rewrites.stem_moves import COLUMNS_MOVE

MOST = 3
"""The columns are at most so many times the image: a kernel of 3x3 pixels makes 2.3 of it at stride 2, 7x7 makes 12."""


@dataclass(frozen=True)
class Axis:
    """Which pixels of an axis the kernel covers.

    Attributes:
        pixels: (outputs, positions of the kernel): each one's pixel, or the number of pixels where that is none.
        size: The number of pixels.
    """

    pixels: NDArray[np.int64]
    size: int

    @classmethod
    def of(cls, *, size: int, outputs: int, kernel: int, stride: int, before: int) -> Axis:
        """Return the pixels of an axis under a kernel that begins so many pixels before the first."""
        pixels = np.arange(outputs)[:, None] * stride + np.arange(kernel) - before
        return cls(np.where((pixels < 0) | (pixels >= size), size, pixels), size)

    def rounded_up(self) -> Axis:
        """Return the same with outputs in eights, by more that cover the last one's pixels."""
        return Axis(np.pad(self.pixels, ((0, -len(self.pixels) % VECTOR), (0, 0)), mode="edge"), self.size)

    @property
    def pads(self) -> bool:
        """Return whether the kernel reaches beside the image."""
        return bool((self.pixels == self.size).any())


def _apply(graph: Graph) -> Sequence[str]:
    return [own.node.name for own, moves in list(_stems(graph)) if _rewrite(graph, own, moves)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    convs = [node for node in graph.nodes if node.name in names]
    return [f"{node.name} has a kernel still" for node in convs if attribute(node, "kernel_shape") != [1, 1]]


def _stems(graph: Graph) -> Iterator[tuple[ConvWeights, RowMoves]]:
    """Yield the Convs behind moves of ``stem-by-rows`` that nothing else reads, with those moves."""
    for node in graph.sorted_nodes():
        weights = ConvWeights.of(graph, node)
        moves = row_moves(graph, node) if weights is not None else None
        if weights is not None and moves is not None:
            yield weights, moves


def _rewrite(graph: Graph, weights: ConvWeights, moves: RowMoves) -> bool:
    node = weights.node
    kernel, first = _kernel(weights, moves)
    outputs = fixed_sizes((graph.shapes().get(node.output[0]) or ())[2:])
    source = quantized_input(graph, moves.value)
    if outputs is None or len(outputs) != 2 or source is None:
        return False
    pads = attribute(node, "pads", [0, 0, 0, 0])
    rows, columns = (
        Axis.of(
            size=size,
            outputs=outputs[axis],
            kernel=kernel.shape[2 + axis],
            stride=moves.block,
            before=pads[axis] * moves.block - first[axis],
        )
        for axis, size in enumerate(moves.sizes)
    )
    channels = -(-kernel[0].size // INPUT_CHANNELS) * INPUT_CHANNELS
    alone = all(size <= moves.block for size in kernel.shape[2:])
    if alone or channels * outputs[0] * outputs[1] > MOST * moves.channels * moves.sizes[0] * moves.sizes[1]:
        return False
    if _reads_no_further(graph, node, outputs):
        rows, columns = rows.rounded_up(), columns.rounded_up()
    value = _add_moves(graph, f"{node.name}_{COLUMNS_MOVE}", moves, source.by, rows, columns, channels)
    wide = np.empty((len(kernel), channels), kernel.dtype)
    wide[...] = weights.zero_points.reshape(-1, 1)
    wide[:, : kernel[0].size] = kernel.transpose(0, 3, 1, 2).reshape(len(kernel), -1)
    name = graph.add_constant(f"{weights.source.integers}_by_columns", wide.reshape(*wide.shape, 1, 1))
    inputs = [value, add_dequantize(graph, name, weights.source.by), *node.input[2:]]
    graph.remove([node])
    kept: dict[str, Any] = {"kernel_shape": [1, 1], "pads": [0, 0, 0, 0], "strides": [1, 1]}
    graph.add("Conv", inputs, list(node.output), name=node.name, **kept)
    return True


def _reads_no_further(graph: Graph, conv: NodeProto, outputs: Sequence[int]) -> bool:
    """Return whether a MaxPool alone reads a Conv, and read nothing of more outputs, up to a number in eights.

    SqueezeNet's first Conv has 111 outputs each way: its last Transpose takes 33 µs, and 24 of 112.
    """
    value = conv.output[0]
    while (reader := graph.sole_consumer(value)) is not None and (
        is_quantize(reader) or is_dequantize(reader) or clip_bounds(graph, reader) is not None
    ):
        value = reader.output[0]
    if reader is None or not is_op(reader, "MaxPool") or len(reader.output) != 1 or attribute(reader, "ceil_mode", 0):
        return False
    kernel = attribute(reader, "kernel_shape")
    pads = explicit_pads(reader, outputs, kernel)
    if pads is None or any(pads[len(kernel) :]) or any(step != 1 for step in attribute(reader, "dilations", [1])):
        return False
    strides, before = attribute(reader, "strides", [1] * len(kernel)), pads[: len(kernel)]
    return all(
        (size + pad - window) // stride == (size + -size % VECTOR + pad - window) // stride
        for size, pad, window, stride in zip(outputs, before, kernel, strides, strict=True)
    )


def _kernel(weights: ConvWeights, moves: RowMoves) -> tuple[NDArray[Any], tuple[int, int]]:
    """Return the weight (outputs, channels, rows, columns) of the Conv with a stride, and the places cut before it.

    Cut are rows and columns at its sides that are the zero point throughout: what the folding filled up.
    """
    outputs, _, rows, columns = weights.integers.shape
    split = weights.integers.reshape(outputs, moves.block, moves.channels, moves.block, rows, columns)
    wide = split.transpose(0, 2, 4, 3, 5, 1).reshape(outputs, moves.channels, rows * moves.block, columns * moves.block)
    used = wide != weights.zero_points
    there = [np.flatnonzero(used.any(axis=tuple({0, 1, 2, 3} - {axis}))) for axis in (2, 3)]
    first, last = ([int(places[end]) if len(places) else 0 for places in there] for end in (0, -1))
    return wide[:, :, first[0] : last[0] + 1, first[1] : last[1] + 1], (first[0], first[1])


def _add_moves(
    graph: Graph, name: str, moves: RowMoves, by: Parameters, rows: Axis, columns: Axis, channels: int
) -> str:
    """Add the moves, and return the dequantized (N, channels, outputs, outputs) that they make."""
    value, number = moves.value, 0

    def add(op_type: str, *further: NDArray[Any], **attributes: Any) -> None:
        nonlocal value, number
        own = f"{name}_{number}"
        constants = [graph.add_constant(f"{own}_{place}", each) for place, each in enumerate(further)]
        value = add_move(graph, op_type, value, by, name=own, further=constants, **attributes)
        number += 1

    pads = rows.pads or columns.pads
    if pads:  # a row of zero points behind the last
        width = [0, 0, 0, 0, 0, 0, 1, 0] if moves.channels_first else [0, 0, 0, 0, 0, 1, 0, 0]
        add("Pad", np.array(width, np.int64), np.array(0, np.float32), mode="constant")
    outputs = len(rows.pixels)
    # Planes of one row each: (channel, row of the kernel), or rows of the kernel where channels are last; then zeros.
    planes = rows.pixels.T[None] + np.arange(moves.channels if moves.channels_first else 1)[:, None, None] * (
        rows.size + pads
    )
    lines = planes.reshape(-1, outputs)
    if pads:
        lines = np.concatenate([lines, np.full((1, outputs), rows.size)])
    inside = 1 if moves.channels_first else moves.channels
    row = columns.size * inside
    add("Reshape", np.array([0, (rows.size + pads) * moves.channels // inside, row], np.int64))
    add("Gather", lines.reshape(-1), axis=1)
    add("Transpose", perm=[0, 2, 1])
    add("Reshape", np.array([0, row * len(lines), outputs], np.int64))
    # A pixel's channels: (column of the kernel, channel, row of the kernel), then what fills them up.
    taken = len(lines) - pads
    covered = (columns.pixels[:, :, None, None] * inside + np.arange(inside)[:, None]) * len(lines) + np.arange(taken)
    beside = np.broadcast_to((columns.pixels == columns.size)[:, :, None, None], covered.shape)
    covered = np.where(beside, taken, covered).reshape(len(columns.pixels), -1)
    filled = np.pad(covered, ((0, 0), (0, channels - covered.shape[1])))
    add("Gather", filled.reshape(-1), axis=1)
    add("Transpose", perm=[0, 2, 1])
    add("Reshape", np.array([0, outputs, len(columns.pixels), channels], np.int64))
    add("Transpose", perm=[0, 3, 1, 2])
    return value


STEM_BY_COLUMNS = Rewrite("stem-by-columns", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every Conv behind the moves of ``stem-by-rows`` whose kernel is small beside its stride."""
