"""The scores in float: no 8-bit rounding between the last product and the output.

Quantized scores tie: 4 to 5 % of images have two equal highest scores, and 8-bit probabilities mean little. Walking
back from each output, the QuantizeLinear-DequantizeLinear pair behind every cheap operator goes; at a Gemm or MatMul it
goes behind it only, because the product of integers can come out as float for no time; a Conv keeps its pair.

A float Add of a constant behind such a product becomes the product's own int32 bias. onnxruntime merges MatMul and Add
to a Gemm before it looks for integer products, and then finds none, because the bias is float: the product runs in
float. A Gemm whose bias is int32 in units of both scales is found.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from quantize.formats.activation_bounds import UNBOUNDED, Bounds, add_activation
from quantize.formats.bias import add_bias
from quantize.formats.parameters import is_dequantize, node_parameters
from quantize.formats.qdq_pattern import constant_integers, constant_values, quantized_input, quantizer
from quantize.graph.nodes import MATRIX_PRODUCTS, SCORE_KEEPING
from quantize.graph.view import Graph
from quantize.rewrites.protocol import Comparison, Declaration, Rewrite

CHEAP = (*SCORE_KEEPING, "GlobalAveragePool", "ReduceMean", "Dropout", "Transpose")
ALLOWED_SLOWDOWN = 0.02
COLUMNS = 1


def _apply(graph: Graph) -> Sequence[str]:
    freed: list[str] = []
    sums: list[NodeProto] = []
    for name in graph.outputs:
        waiting = [name]
        while waiting:
            maker = _free(graph, waiting.pop())
            if maker is None:
                continue
            freed.append(maker.name)
            if maker.op_type in CHEAP:
                waiting.append(maker.input[0])
            elif maker.op_type == "Add":
                waiting += [operand for operand in maker.input if not _constant(graph, operand)]
                sums.append(maker)
    for add in sums:
        _gemm_from_matmul(graph, add)
    return freed


def _free(graph: Graph, name: str) -> NodeProto | None:
    """Remove the QuantizeLinear and DequantizeLinear behind a float tensor; return the node that makes it."""
    dequantize, quantize = graph.producer(name), quantizer(graph, name)
    maker = graph.producer(quantize.input[0]) if quantize is not None else None
    if dequantize is None or quantize is None or maker is None or len(maker.output) != 1 or not _is_head(graph, maker):
        return None
    values, by = quantize.input[0], node_parameters(graph, quantize)
    bounds = Bounds.stated_by(by) if maker.op_type not in CHEAP and by is not None and by.axis is None else UNBOUNDED
    if graph.is_output(name) and graph.is_output(values):
        return None
    graph.remove([dequantize])
    if not graph.consumers(quantize.output[0]) and not graph.is_output(quantize.output[0]):
        graph.remove([quantize])
    if graph.is_output(name):
        graph.replace_uses(values, name)
        graph.set_output(maker, 0, name)
    else:
        graph.replace_uses(name, values)
        name = values
    if bounds != UNBOUNDED:
        _confine(graph, maker, name, bounds)
    return maker


def _confine(graph: Graph, maker: NodeProto, name: str, bounds: Bounds) -> None:
    """Put the activation that a grid stood for behind a product."""
    inner = graph.fresh(f"{name}_product")
    graph.set_output(maker, 0, inner)
    add_activation(graph, inner, name, bounds, f"{maker.name}_Relu")


def _is_head(graph: Graph, maker: NodeProto) -> bool:
    if maker.domain:
        return False
    if maker.op_type == "Add":
        return any(_constant(graph, operand) for operand in maker.input)
    return maker.op_type in CHEAP or maker.op_type in MATRIX_PRODUCTS


def _gemm_from_matmul(graph: Graph, add: NodeProto) -> bool:
    """Replace ``MatMul(a, b) + constant`` by a Gemm: a and b quantized matrices, b constant, one bias per column.

    The bias is rounded to a 255th of the smallest step of the product, or finer.

    Returns:
        Whether the Add was of that kind and is gone.
    """
    makers = [graph.producer(name) for name in add.input]
    products = [maker for maker in makers if maker is not None and maker.op_type == "MatMul"]
    if len(products) != 1:
        return False
    matmul = products[0]
    constant = next(name for name in add.input if name != matmul.output[0])
    a, right = quantized_input(graph, matmul.input[0]), constant_integers(graph, matmul.input[1])
    if a is None or a.by.axis is not None or right is None or right[1].ndim != 2:
        return False
    b, weight = right
    if b.by.axis not in (None, COLUMNS) or graph.consumers(matmul.output[0]) != [add]:
        return False
    bias = constant_values(graph, constant)
    if bias is None or bias.size != weight.shape[1] or len(graph.shapes().get(matmul.input[0], ())) != 2:
        return False
    graph.remove([matmul, add])
    inputs = [*matmul.input, add_bias(graph, f"{add.name}_bias", bias.ravel(), a.by, b.by)]
    graph.add("Gemm", inputs, list(add.output), name=matmul.name)
    return True


def _constant(graph: Graph, name: str) -> bool:
    return constant_values(graph, name) is not None


def _broken(graph: Graph, names: Sequence[str]) -> Sequence[str]:
    makers = [maker for name in graph.outputs if (maker := graph.producer(name)) is not None and is_dequantize(maker)]
    return [f"{maker.output[0]} is quantized still" for maker in makers] if names else []


def _pays(comparison: Comparison) -> bool:
    cheap = all(ratio.high >= 1 - ALLOWED_SLOWDOWN for ratio in comparison.speed.values())
    return cheap and comparison.movement.ties_after < comparison.movement.ties_before


FLOAT_HEAD = Rewrite("float-head", Declaration("rounding", 0.5), _apply, _broken, _pays)
"""The operators behind the last Conv. Kept where it costs under 2 % of the time and removes ties."""
