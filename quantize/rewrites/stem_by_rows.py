"""SpaceToDepth before a Conv as cheaper moves: first split the rows, then move pixels into channels.

onnxruntime runs SpaceToDepth, and then a Transpose to the channels-last layout of its integer Conv. Here whole rows are
moved apart (copies of a row's bytes), and the transposition to channels last, which is needed anyway, brings each
pixel's channels together; neighbouring pixels of a row are then one cell by their place in memory, for no work at all.
onnxruntime transposes 8 rows of bytes at a time with vector instructions, but 6 one by one: so where the size allows,
that transposition is taken in two steps, over groups of pixels and then over the planes that they make. Its threads
share the rows of what is transposed, so that each writes a part of every cell's bytes. Parts that lie in one line of
the cache go to and fro between cores, for ten times the time: so the groups are as large as may be, and a cell's
neighbours with it a few hundred bytes.

Pixels that come channels last already (the input contract uint8-nhwc) take the same steps, without being turned to
channels first before: a group's pixels make as many times more planes as there are channels.

The channels come out in another order than those of SpaceToDepth, so the Conv's weight is permuted: the integer sums
are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from quantize.formats.parameters import add_dequantize, add_move, is_dequantize, is_quantize
from quantize.formats.qdq_pattern import quantized_input, quantizer
from quantize.graph.nodes import attribute, is_op
from quantize.graph.shapes import Shape, fixed_sizes
from quantize.graph.view import Graph
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, not_shown_slower

VECTOR = 8
"""Rows of bytes that onnxruntime's Transpose takes at once."""

_GROUPS = (64, 32, 16)
"""Pixels of a plane that are moved as one, where their number allows it; else as many as ``VECTOR``."""


def _apply(graph: Graph) -> Sequence[str]:
    nodes = [node for node in graph.sorted_nodes() if is_op(node, "SpaceToDepth")]
    shapes = graph.shapes() if nodes else {}
    return [node.name for node in nodes if _rewrite(graph, node, shapes.get(node.input[0]))]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    return [f"{node.name} is read still" for node in graph.model().graph.node if node.name in names]


def _rewrite(graph: Graph, node: NodeProto, shape: Shape | None) -> bool:
    source = quantized_input(graph, node.input[0])
    convs = _readers(graph, node)
    sizes = fixed_sizes(shape[1:]) if shape is not None else None
    if source is None or source.by.axis is not None or not convs or sizes is None:
        return False
    channels, height, width = sizes
    block = attribute(node, "blocksize")
    value, moves = node.input[0], _moves(channels, height, width, block)
    turned = graph.producer(source.integers)
    if turned is not None and _from_last(turned) and _group(height // block * width) is not None:
        value = add_dequantize(graph, turned.input[0], source.by)
        moves = _moves_from_last(channels, height, width, block)
    for number, (op_type, argument) in enumerate(moves):
        name = f"{node.name}_{number}"
        if op_type == "Reshape":
            further = [graph.add_constant(f"{name}_shape", np.array(argument, np.int64))]
            value = add_move(graph, op_type, value, source.by, name=name, further=further)
        else:
            value = add_move(graph, op_type, value, source.by, name=name, perm=argument)
    # SpaceToDepth's channel is (row in block, column in block, channel); here it is (column, channel, row).
    order = np.arange(block * block * channels).reshape(block, block, channels).transpose(1, 2, 0).ravel()
    for conv in convs:
        graph.set_input(conv.node, 0, value)
        conv.replace(graph, conv.integers[:, order], "by_rows")
    return True


def _group(pixels: int) -> int | None:
    """Return how many pixels of a plane are moved as one, or None where these cannot be cut into such groups."""
    whole = next((group for group in _GROUPS if pixels % (group * VECTOR) == 0), VECTOR)
    return whole if pixels % whole == 0 else None


def _moves(channels: int, height: int, width: int, block: int) -> list[tuple[str, list[int]]]:
    """Return the Reshape targets and Transpose permutations from (N, C, H, W) to (N, block*block*C, H/b, W/b)."""
    rows, columns, planes = height // block, width // block, channels * block
    pixels, group = rows * width, _group(rows * width)
    moves = [("Reshape", [0, channels, rows, block, width]), ("Transpose", [0, 1, 3, 2, 4])]
    if group is not None and planes % VECTOR:
        moves += [("Reshape", [0, planes * pixels // group, group]), ("Transpose", [0, 2, 1])]
        moves += [("Reshape", [0, group * planes, pixels // group]), ("Transpose", [0, 2, 1])]
    else:
        moves += [("Reshape", [0, planes, rows, width]), ("Transpose", [0, 2, 3, 1])]
    return [*moves, ("Reshape", [0, rows, columns, block * planes]), ("Transpose", [0, 3, 1, 2])]


def _moves_from_last(channels: int, height: int, width: int, block: int) -> list[tuple[str, list[int]]]:
    """Return the same from (N, H, W, C), where the pixels can be cut into groups."""
    rows = height // block
    pixels, group = rows * width, _group(rows * width)
    assert group is not None
    return [
        ("Reshape", [0, rows, block, width * channels]),
        ("Transpose", [0, 2, 1, 3]),
        ("Reshape", [0, block * pixels // group, group * channels]),
        ("Transpose", [0, 2, 1]),
        ("Reshape", [0, group * channels * block, pixels // group]),
        ("Transpose", [0, 2, 1]),
        ("Reshape", [0, rows, width // block, block * channels * block]),
        ("Transpose", [0, 3, 1, 2]),
    ]


@dataclass(frozen=True)
class RowMoves:
    """The moves of this rewrite, as they are found before a Conv.

    Attributes:
        value: The dequantized image that they begin with.
        channels_first: Whether its shape is (N, channels, rows, columns), else (N, rows, columns, channels).
        channels: Of the image.
        sizes: Its rows and columns.
        block: Pixels a side that become one cell.
    """

    value: str
    channels_first: bool
    channels: int
    sizes: tuple[int, int]
    block: int


def row_moves(graph: Graph, conv: NodeProto) -> RowMoves | None:
    """Return the moves of this rewrite before a Conv of known sizes, where nothing else reads what they make."""
    if _move_before(graph, conv.input[0]) is None:
        return None
    shapes = graph.shapes()
    value, moves = conv.input[0], list[tuple[str, list[int]]]()
    cells = fixed_sizes((shapes.get(value) or ())[1:])
    while cells is not None and len(cells) == 3 and (move := _move_before(graph, value)) is not None:
        value, op_type, target = move
        moves.insert(0, (op_type, target))
        sizes = fixed_sizes((shapes.get(value) or ())[1:])
        if sizes is None or len(sizes) != 3:
            continue
        for channels_first in (True, False):
            channels, rows, columns = sizes if channels_first else (sizes[2], *sizes[:2])
            block = rows // cells[1]
            made_of = _moves if channels_first else _moves_from_last
            possible = block > 1 and (channels_first or _group(rows // block * columns) is not None)
            if possible and block * block * channels == cells[0] and moves == made_of(channels, rows, columns, block):
                return RowMoves(value, channels_first, channels, (rows, columns), block)
    return None


def _move_before(graph: Graph, value: str) -> tuple[str, str, list[int]] | None:
    """Return what a Reshape or Transpose moved to make a dequantized tensor, its type and its target; else None."""
    quantize = quantizer(graph, value)
    node = graph.producer(quantize.input[0]) if quantize is not None else None
    if quantize is None or node is None or not is_op(node, "Reshape", "Transpose"):
        return None
    if any(graph.sole_consumer(name) is None for name in (value, quantize.output[0], node.output[0])):
        return None
    target = graph.constant(node.input[1]) if is_op(node, "Reshape") else attribute(node, "perm")
    return None if target is None else (node.input[0], node.op_type, [int(size) for size in target])


def _from_last(node: NodeProto) -> bool:
    """Return whether a node turns integers from channels last to channels first."""
    return is_op(node, "Transpose") and attribute(node, "perm") == [0, 3, 1, 2]


def _readers(graph: Graph, node: NodeProto) -> list[ConvWeights]:
    """Return the Convs that read a quantized SpaceToDepth; none where anything else does."""
    quantize = graph.consumers(node.output[0])
    if len(quantize) != 1 or not is_quantize(quantize[0]) or graph.is_output(node.output[0]):
        return []
    integers = quantize[0].output[0]
    readers: list[ConvWeights | None] = []
    for dequantize in graph.consumers(integers):
        if not is_dequantize(dequantize) or graph.is_output(dequantize.output[0]):
            return []
        readers += [ConvWeights.of(graph, reader) for reader in graph.consumers(dequantize.output[0])]
    convs = [reader for reader in readers if reader is not None]
    return convs if len(convs) == len(readers) and not graph.is_output(integers) else []


STEM_BY_ROWS = Rewrite("stem-by-rows", Declaration("exact"), _apply, _broken, not_shown_slower)
"""Every quantized SpaceToDepth of fixed size that only Convs without groups read."""
