"""The fp32 operator that each executed node comes from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from onnx import ModelProto, NodeProto

from quantize.formats.twins import part_of
from quantize.graph.nodes import ACTIVATIONS, LINEAR, WEIGHTED
from quantize.graph.products import product_kind
from quantize.graph.regions import functions
from quantize.graph.shapes import Shape, inferred_shapes
from quantize.graph.view import Graph
from quantize.measurement.operators.fused_functions import FusedFunctions, is_what_ran, makers_of, origin_before
from quantize.measurement.operators.trace import NodeTrace

# What onnxruntime, quantizers and rewrites put around the name of the node that a node comes from, or of its output.
_PREFIX = re.compile(r"^(?:fused )+")
_SUFFIX = re.compile(
    r"(?:_token_\d+|_part_\d+|_nchwc|_nhwc|_quant|_quantized|_QuantizeLinear_Output|_MatMul|_sums|/fused|/\w+Fusion/)$"
)
_NUMBER = re.compile(r"_\d+$")
_POOL = "AveragePool"  # the rewrite average-as-conv makes a Conv of it, with a Mul behind it or without
_MEANS = ("GlobalAveragePool", "ReduceMean", _POOL)  # what the rewrite mean-as-product replaces
# Operators that onnxruntime fuses into the product before them.
_FUSED = {*ACTIVATIONS, "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "BatchNormalization", "Mul", "Add"}


def is_product(op_type: str) -> bool:
    """Return whether an operator, fp32 or int8, is a convolution or a matrix product."""
    return product_kind(op_type) is not None


def find_origins(
    model: ModelProto,
    nodes: Sequence[NodeTrace],
    weights: Mapping[str, Shape] | None = None,
    runs: ModelProto | None = None,
) -> list[str | None]:
    """Return, for each node that ran, the name of the fp32 model's node that it computes.

    First by name: onnxruntime and the quantizers keep the name of the node, or of its output, within theirs; where
    they also number it, the operator must be the same, and the fp32 node not found yet, unless it is a function, such
    as HardSwish: rewrites compute one by several nodes of its name (``rewrites.functions``), or unless each computes a
    part of its columns (``rewrites.separate_products``). Then what is left of the products: where weights of a shape
    are left over equally often on both sides, those in their order; then, if as many are left over in all, in their
    order, which quantization does not change. Then what the graph that ran tells of nodes with new names
    (``fused_functions``).

    A function or normalization of several nodes (``graph.regions``) is known by its last one, whichever ran.

    Args:
        model: The fp32 model, its nodes named.
        nodes: Of a session of it, or of a quantized model made from it, in the order that they ran.
        weights: Shapes of the products' weights by name of the node that ran, where they are known.
        runs: The graph that ran, where it is known.

    Returns:
        A name for each, or None: conversions, for example.
    """
    graph = Graph.of(model)
    named = {node.name: node for node in graph.nodes if node.name}
    origins = [_by_name(node, named, graph) for node in nodes]
    _find_numbered(nodes, origins, named, graph)
    _find_parts(nodes, origins, frozenset(own[-1].name for own in functions(graph)))
    _find_products(model, nodes, origins, weights or {})
    fused = FusedFunctions(graph)
    if runs is not None and is_what_ran(runs, [(node.name, node.op_type) for node in nodes]):
        makers = makers_of(runs.graph.node)
        for index, node in enumerate(runs.graph.node):
            if origins[index] is None and not is_conversion_name(node.op_type) and not is_product(node.op_type):
                made = fused.by_tensor(node.op_type, [inner for name in node.output for inner in _inner_names(name)])
                before = None if made is not None else origin_before(runs.graph.node, makers, index, origins)
                origins[index] = made if before is None else fused.behind(before)
    return [fused.whole(origin) for origin in origins]


def _find_products(
    model: ModelProto, nodes: Sequence[NodeTrace], origins: list[str | None], weights: Mapping[str, Shape]
) -> None:
    """Find the products that are left by the shapes of their weights, or by their order, in place."""
    taken = set(origins)
    left = [index for index, node in enumerate(nodes) if origins[index] is None and is_product(node.op_type)]
    products = [node for node in model.graph.node if node.op_type in WEIGHTED and node.name not in taken]
    shapes = inferred_shapes(model) if left else {}
    here, there = defaultdict(list), defaultdict(list)
    for index in left:
        here[_signature(weights.get(nodes[index].name))].append(index)
    for product in products:
        there[_signature(shapes.get(product.input[1]))].append(product)
    for signature, indices in here.items():
        if signature is not None and len(indices) == len(there[signature]):
            for index, product in zip(indices, there[signature], strict=True):
                origins[index] = product.name
                left.remove(index)
                products.remove(product)
    if len(left) == len(products):
        for index, product in zip(left, products, strict=True):
            origins[index] = product.name


def weight_shapes(graph: ModelProto) -> dict[str, Shape]:
    """Return the shapes of the weights of a graph's products, by name of the node."""
    values = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    shapes: dict[str, Shape] = {}
    for node in graph.graph.node:
        place = 3 if node.op_type.startswith("Q") else 1
        if is_product(node.op_type) and len(node.input) > place and node.input[place] in values:
            shapes[node.name] = values[node.input[place]]
    return shapes


def _signature(shape: Shape | None) -> tuple[int | str | None, ...] | None:
    """Return a key that a weight's shape shares with its transpose; None if the shape is unknown."""
    if shape is None or len(shape) != 2:
        return shape
    return tuple(sorted(shape, key=str))


def _by_name(node: NodeTrace, named: dict[str, NodeProto], graph: Graph) -> str | None:
    if is_conversion_name(node.op_type):
        return None
    for name in _inner_names(node.name):
        origin = named.get(name) or graph.producer(name)
        if origin is None:
            continue
        product = _product(origin, graph) if is_product(node.op_type) else None
        if product is not None:
            return str(product.name)
        if origin.op_type not in WEIGHTED:
            return str(origin.name)
    return None


def _product(origin: NodeProto, graph: Graph) -> NodeProto | None:
    """Return the fp32 product that a node is, or that takes it in; None if there is none.

    A BatchNormalization that follows no product is computed as one.
    """
    product: NodeProto | None = origin
    while product is not None and product.op_type in _FUSED:
        before = graph.producer(product.input[0])
        if product.op_type == "BatchNormalization" and (before is None or before.op_type not in WEIGHTED):
            return None
        product = before
    return product if product is not None and product.op_type in WEIGHTED else None


def _find_numbered(
    nodes: Sequence[NodeTrace], origins: list[str | None], named: Mapping[str, NodeProto], graph: Graph
) -> None:
    """Find the nodes whose name is that of a node, or of its output, with a number, such as ``pool1_2``, in place."""
    taken = {origin for origin in origins if origin is not None}
    for index, node in enumerate(nodes):
        if origins[index] is not None or is_conversion_name(node.op_type):
            continue
        for name in _names_without_numbers(node.name):
            origin = named.get(name) or graph.producer(name)
            if origin is not None and is_product(node.op_type):
                origin = _product(origin, graph) or origin
            is_left = origin is not None and (
                origin.name not in taken or part_of(node.name) is not None or origin.op_type == _POOL
            )
            if origin is not None and is_left and _computes(node.op_type, origin.op_type):
                origins[index] = str(origin.name)
                taken.add(str(origin.name))
                break


def _find_parts(nodes: Sequence[NodeTrace], origins: list[str | None], functions: frozenset[str]) -> None:
    """Find the nodes that compute a function together: its name, a word or none, and a number, in place."""
    for index, node in enumerate(nodes):
        if origins[index] is not None or is_conversion_name(node.op_type) or is_product(node.op_type):
            continue
        names = (node.name, *_names_without_numbers(node.name))
        parts = (part for name in names for part in (name, name.rpartition("_")[0]))
        origins[index] = next((part for part in parts if part in functions), None)


def _names_without_numbers(name: str) -> Iterator[str]:
    """Yield what is left of a name as numbers, and the suffixes before them, are removed one by one."""
    rest = _inner_names(name)[-1]
    while (shorter := _NUMBER.sub("", rest)) != rest:
        names = _inner_names(shorter)
        yield from names
        rest = names[-1]


def _computes(op_type: str, fp32_op_type: str) -> bool:
    """Return whether an operator is another one in int8, or in another layout; means and norms may be products."""
    kind = product_kind(op_type)
    if kind == "Conv":
        return fp32_op_type in ("Conv", "BatchNormalization", _POOL)
    if fp32_op_type == _POOL and op_type in ("Mul", "QLinearMul"):
        return True
    if kind is not None:
        return fp32_op_type in ("Gemm", "MatMul", *(_MEANS if op_type == "MatMulIntegerToFloat" else ()))
    own = op_type.removeprefix("QLinear").removeprefix("Nhwc")
    return own == fp32_op_type or (own == "GlobalAveragePool" and fp32_op_type == "ReduceMean")


def is_conversion_name(op_type: str) -> bool:
    """Return whether nodes of an operator are named after a tensor that they convert, not after what they compute."""
    return op_type in (*LINEAR, "DynamicQuantizeLinear", "ReorderInput", "ReorderOutput")


def _inner_names(name: str) -> list[str]:
    """Return a name, and what is left of it as its suffixes are removed one by one."""
    names = [_PREFIX.sub("", name)]
    while (shorter := _SUFFIX.sub("", names[-1])) != names[-1]:
        names.append(shorter)
    return names
