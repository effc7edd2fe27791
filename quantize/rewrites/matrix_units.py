"""Weights of Convs on a zero point of -1, so that onnxruntime multiplies them as matrices.

Where a CPU has units for products of matrices (AMX: tiles of 16x16 sums), onnxruntime's general product of uint8 by
int8 takes them. Its Conv of int8 weights around zero does not: it reads its input through pointers and takes dot
products of four bytes, on any CPU (MLAS, ConvSym). With weights around another zero point it is a general product; so
all weights, and what stands for zero, move by one step, and the sums are the same.

A general product stores its sums in 32 bits and scales them in a second pass, and kernels of more than one position
copy their input into rows first. So it pays where sums are long, and rows serve many outputs. On CPUs without such
units it is slower: whether this one gains is measured before it is tried (``measurement.machine.matrix_units``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from quantize.formats.parameters import Parameters
from quantize.formats.qdq_pattern import constant_integers, quantized_input
from quantize.formats.saturation import weights_can_saturate
from quantize.graph.view import Graph
from quantize.rewrites.convs import ConvWeights
from quantize.rewrites.protocol import Declaration, Rewrite, shown_faster

FEWEST_PRODUCTS = 320
"""Of a sum. Layers alone on an Emerald Rapids: 256 are 0.5 to 1.1 times as fast, 512 1.1 to 1.7, 1024 1.1 to 2.0."""
FEWEST_OUTPUTS = 128
"""Where the input is copied: 64 outputs 0.8 to 1.2 times as fast, however long the sums are."""
_STEPS = (-1, 1)


def _apply(graph: Graph) -> Sequence[str]:
    return [node.name for node in graph.sorted_nodes() if _rewrite(graph, node)]


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    weights = {node.name: constant_integers(graph, node.input[1]) for node in graph.nodes if node.name in names}
    return [
        f"{name} has weights around zero" for name, own in weights.items() if own and not own[0].by.zero_point.all()
    ]


def _rewrite(graph: Graph, node: NodeProto) -> bool:
    weights = ConvWeights.of(graph, node)
    given = quantized_input(graph, node.input[0]) if weights is not None else None
    if weights is None or given is None or given.by.zero_point.dtype != np.uint8:
        return False
    integers, by = weights.integers, weights.source.by
    if integers.dtype != np.int8 or by.zero_point.any() or not _pays(integers.shape):
        return False
    step = _step(node, integers)
    if step is None:
        return False
    moved = np.full_like(by.zero_point, step)
    zero_point = graph.add_constant(f"{weights.source.integers}_moved_zero_point", moved)
    parameters = Parameters(by.scale, moved, by.axis, by.scale_name, zero_point)
    weights.replace(graph, integers + integers.dtype.type(step), "moved", parameters)
    return True


def _step(node: NodeProto, integers: NDArray[np.int8]) -> int | None:
    """Return the step by which weights can move: within 8 bits, and without beginning to saturate on any CPU."""
    low, high, limits = int(integers.min()), int(integers.max()), np.iinfo(np.int8)
    saturate = weights_can_saturate(node, integers)
    for step in _STEPS:
        fits = limits.min <= low + step and high + step <= limits.max
        if fits and (saturate or not weights_can_saturate(node, integers + np.int8(step))):
            return step
    return None


def _pays(shape: Sequence[int]) -> bool:
    """Return whether a Conv with weights of a shape (outputs, channels, sizes of the kernel) gains where any does."""
    outputs, channels, *kernel = shape
    copied = math.prod(kernel) > 1
    return channels * math.prod(kernel) >= FEWEST_PRODUCTS and (not copied or outputs >= FEWEST_OUTPUTS)


MATRIX_UNITS = Rewrite(
    "matrix-units", Declaration("exact"), _apply, _broken, shown_faster, only_measured=True, for_matrix_units=True
)
"""Every quantized Conv without groups of uint8 by int8 around zero with long sums."""
