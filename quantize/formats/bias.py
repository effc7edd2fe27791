"""The bias of integer operators: int32, in units of the input's scale times the weight's scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.formats.parameters import Parameters, add_dequantize, new_parameters
from quantize.formats.qdq_pattern import constant_integers, constant_values
from quantize.graph.view import Graph


def bias_scale(by_x: Parameters, by_w: Parameters, factor: float = 1.0) -> NDArray[np.float32]:
    """Return the bias's scale, float32, scalar or of shape (channels,)."""
    return np.asarray(by_x.scale * by_w.scale * np.float32(factor), np.float32)


def dequantize_bias(graph: Graph, bias: str, by_x: Parameters, by_w: Parameters, factor: float = 1.0) -> str:
    """Add the DequantizeLinear that gives an int32 bias its meaning and return the float tensor's name."""
    return add_dequantize(graph, bias, _bias_parameters(graph, bias, by_x, by_w, factor))


def add_bias(graph: Graph, hint: str, values: NDArray[Any], by_x: Parameters, by_w: Parameters) -> str:
    """Add a bias as int32, rounded, behind its DequantizeLinear and return the float tensor's name."""
    by = _bias_parameters(graph, hint, by_x, by_w)
    return add_dequantize(graph, graph.add_constant(hint, rounded_bias(values, by.scale)), by)


def integer_bias(graph: Graph, bias: str, by_x: Parameters, by_w: Parameters, factor: float = 1.0) -> str | None:
    """Return the name of the int32 bias for a float bias; None if it is not constant.

    A bias that is int32 behind its DequantizeLinear keeps its integers where its scale is the one that the operator
    implies; any other is rounded to it.
    """
    scale = bias_scale(by_x, by_w, factor)
    quantized = constant_integers(graph, bias)
    if quantized is not None:
        source, integers = quantized
        same_scale = np.allclose(source.by.scale, scale, rtol=1e-6, atol=0)
        if integers.dtype == np.int32 and same_scale and not source.by.zero_point.any():
            return source.integers
    values = constant_values(graph, bias)
    if values is None:
        return None
    return graph.add_constant(f"{bias}_int32", rounded_bias(values, scale))


def _bias_parameters(graph: Graph, hint: str, by_x: Parameters, by_w: Parameters, factor: float = 1.0) -> Parameters:
    scale = bias_scale(by_x, by_w, factor)
    return new_parameters(graph, hint, scale, np.zeros(scale.shape, np.int32), 0 if scale.ndim else None)


def rounded_bias(values: NDArray[Any], scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return float biases as int32 in units of ``scale``, saturated."""
    limits = np.iinfo(np.int32)
    saturated = np.clip(np.rint(values.astype(np.float64) / scale), limits.min, limits.max)
    return np.asarray(saturated, np.int32)
