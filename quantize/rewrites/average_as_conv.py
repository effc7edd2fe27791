"""An AveragePool of a quantized tensor, replaced by a depthwise Conv whose weights are ones.

onnxruntime's QLinearAveragePool looks up and adds one value after the other (1 ns each on a Xeon of 2023), its Conv by
channel adds many at a time: 192 channels of 35 x 35 in 0.1 ms where 1.5 were. The sum of the integers is exact in both;
the scale of the ones takes the division. What is rounded is the same mean, by another sum of floats.

Where padding does not count, windows at the border hold fewer values. There the Conv's result, divided by too many, is
multiplied by how many too many, and rounded once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.parameters import Parameters, add_dequantize, add_quantize, new_parameters
from quantize.formats.qdq_pattern import output_quantization, quantized_input
from quantize.graph.nodes import attribute, explicit_pads, is_op
from quantize.graph.shapes import Shape
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Declaration, Rewrite, shown_not_slower

_AXES = 2
"""Axes of a map: onnxruntime's fast Convs by channel are of images."""
_MOST = 4
"""How many times too many values the sum of a window may be divided by: so many times its rounding comes out larger."""


@dataclass(frozen=True, eq=False)
class _Window:
    """The windows of a pool.

    Attributes:
        channels: Of what it pools.
        kernel: Sizes of a window.
        strides: From one window to the next.
        pads: Before the map, then behind it, of each axis.
        counts: How many values each window holds, int64 (height, width) of the result; None: as many as its size.
    """

    channels: int
    kernel: Sequence[int]
    strides: Sequence[int]
    pads: Sequence[int]
    counts: NDArray[np.int64] | None


def _apply(graph: Graph) -> Sequence[str]:
    nodes = [node for node in graph.sorted_nodes() if is_op(node, "AveragePool")]
    shapes = graph.shapes() if nodes else {}
    return [node.name for node in nodes if _rewrite(graph, node, shapes.get(node.input[0]))]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    return [f"{node.name} is a pool still" for node in graph.nodes if node.name in names and is_op(node, "AveragePool")]


def _rewrite(graph: Graph, node: NodeProto, shape: Shape | None) -> bool:
    source, quantized = quantized_input(graph, node.input[0]), output_quantization(graph, node.output[0])
    window = _window(node, shape) if shape is not None else None
    if source is None or quantized is None or window is None or source.by.axis is not None:
        return False
    by = quantized[1]
    if source.by.zero_point.dtype != by.zero_point.dtype:
        return False
    sums = node.output[0] if window.counts is None else graph.fresh(f"{node.output[0]}_sums")
    graph.remove([node])
    _add_conv(graph, node, window, sums)
    if window.counts is not None:
        integers = graph.fresh(f"{sums}_integers")
        add_quantize(graph, sums, by, integers)
        factors = _factors(graph, node.name, window.counts, math.prod(window.kernel), by)
        graph.add("Mul", [add_dequantize(graph, integers, by), factors], list(node.output), name=node.name)
    return True


def _add_conv(graph: Graph, node: NodeProto, window: _Window, result: str) -> None:
    """Add the Conv: by the pool's name where it gives the pool's result, which a Mul does otherwise."""
    share = 1.0 / math.prod(window.kernel)
    by = new_parameters(graph, f"{node.name}_ones", share, np.array(0, np.int8), None)
    ones = graph.add_constant(f"{node.name}_ones", np.ones((window.channels, 1, *window.kernel), np.int8))
    graph.add(
        "Conv",
        [node.input[0], add_dequantize(graph, ones, by)],
        [result],
        name=node.name if window.counts is None else f"{node.name}_sums",
        group=window.channels,
        kernel_shape=list(window.kernel),
        pads=list(window.pads),
        strides=list(window.strides),
    )


def _factors(graph: Graph, name: str, counts: NDArray[np.int64], size: int, like: Parameters) -> str:
    """Return the dequantized map of the size of a window over what each holds: exact, where the type has room."""
    common = int(np.lcm.reduce(np.unique(counts)))
    wanted = common // counts
    most = np.iinfo(like.zero_point.dtype).max
    if wanted.max() <= most:
        times = most // int(wanted.max())
        integers, step = wanted * times, size / (common * times)
    else:
        step = size / (int(counts.min()) * most)
        integers = np.rint(size / counts / step)
    by = new_parameters(graph, f"{name}_factors", step, np.array(0, like.zero_point.dtype), None)
    values = integers.astype(like.zero_point.dtype)[None, None]
    return add_dequantize(graph, graph.add_constant(f"{name}_factors", values), by)


def _window(node: NodeProto, shape: Shape) -> _Window | None:
    """Return the windows of a pool; None if they are not known, or not such as a Conv can have."""
    kernel = attribute(node, "kernel_shape")
    strides = attribute(node, "strides", [1] * len(kernel))
    if len(kernel) != _AXES or len(shape) != _AXES + 2 or any(step != 1 for step in attribute(node, "dilations", [1])):
        return None
    channels, *sizes = shape[1:]
    known = [size for size in sizes if isinstance(size, int)]
    is_known = len(known) == len(sizes)
    if not isinstance(channels, int) or not (is_known or attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")):
        return None
    if known == list(kernel):
        return None  # a mean of the whole map: the pool is as fast
    pads = explicit_pads(node, known if is_known else kernel, kernel)
    if pads is None or (attribute(node, "ceil_mode", 0) and not (is_known and _fits(known, kernel, strides, pads))):
        return None
    if attribute(node, "count_include_pad", 0) or not any(pads):
        return _Window(channels, kernel, strides, pads, None)
    if not is_known:
        return None
    high, wide = (
        _held(size, length, stride, (pads[axis], pads[axis + _AXES]))
        for axis, (size, length, stride) in enumerate(zip(known, kernel, strides, strict=True))
    )
    counts = np.outer(high, wide)
    if not counts.size or counts.min() * _MOST < math.prod(kernel):
        return None
    return _Window(channels, kernel, strides, pads, None if counts.min() == math.prod(kernel) else counts)


def _held(size: int, length: int, stride: int, pads: tuple[int, int]) -> NDArray[np.int64]:
    """Return how many values of an axis each window holds."""
    starts = np.arange(0, size + sum(pads) - length + 1, stride) - pads[0]
    held: NDArray[np.int64] = np.minimum(starts + length, size) - np.maximum(starts, 0)
    return held


def _fits(sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> bool:
    """Return whether the last windows end with the padded map, so that rounding their number up changes nothing."""
    before, behind = pads[:_AXES], pads[_AXES:]
    return all(
        (size + first + last - length) % stride == 0
        for size, length, stride, first, last in zip(sizes, kernel, strides, before, behind, strict=True)
    )


AVERAGE_AS_CONV = Rewrite("average-as-conv", Declaration("rounding", 0.1), _apply, _broken, shown_not_slower)
"""Every AveragePool of images between tensors on grids of one type, whose windows are known."""
