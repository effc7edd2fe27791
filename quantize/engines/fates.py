"""What a built model does with each node of the fp32 model that it was made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from onnx import ModelProto, NodeProto

from quantize.formats import canonical
from quantize.formats.float_layers import computes_on_integers
from quantize.formats.parameters import is_dequantize
from quantize.formats.twins import twins
from quantize.graph.nodes import ACTIVATIONS, WEIGHTED, is_op, moves_values
from quantize.graph.view import Graph

Fate = Literal["integers", "moved", "float"]


def fates(fp32: ModelProto, qlinear: ModelProto) -> dict[str, Fate]:
    """Return what became of the fp32 model's nodes that a built model has, or whose maker stands for them, by name.

    A layer is on integers where the product of its weights is, whatever adds
    its bias. An activation that a grid stands for, and a bias that became its product's, are where the node before
    them is.

    Args:
        fp32: The prepared fp32 model.
        qlinear: What was made of it, in QLinear format: there a product that has no integer kernel is a float one,
            though what it takes may be dequantized.
    """
    reference, graph = Graph.of(fp32), Graph(canonical(qlinear))
    floats = _given_floats(Graph.of(qlinear))
    made: dict[str, list[NodeProto]] = {}
    for name, origin in twins(reference, graph.sorted_nodes()).items():
        node = graph.node(name)
        assert node is not None
        made.setdefault(origin, []).append(node)
    found: dict[str, Fate] = {}
    for node in reference.sorted_nodes():
        own = made.get(node.name, [])
        products = [twin for twin in own if is_op(twin, *WEIGHTED)]
        if own:
            on_integers = any(
                computes_on_integers(graph, twin) and (twin.name, twin.op_type) not in floats
                for twin in products or own
            )
            found[node.name] = _on_integers(node) if on_integers else "float"
        elif (before := _before(reference, node, found)) is not None:
            found[node.name] = before
    return found


def layers_on_integers(fp32: ModelProto, qlinear: ModelProto, left: Collection[str]) -> dict[str, bool]:
    """Return whether each layer with weights computes on integers, by name, in the fp32 model's order.

    Args:
        fp32: The prepared fp32 model.
        qlinear: What was made of it, in QLinear format.
        left: The nodes that it was to leave in float: they decide where a rewrite left no node of a layer's name.
    """
    became = fates(fp32, qlinear)
    return {
        node.name: became.get(node.name, "float" if node.name in left else "integers") != "float"
        for node in fp32.graph.node
        if is_op(node, *WEIGHTED)
    }


def _given_floats(qlinear: Graph) -> set[tuple[str, str]]:
    """Return name and type of the nodes that QLinear format has as they are, between dequantized tensors."""
    return {
        (node.name, node.op_type)
        for node in qlinear.nodes
        if not is_dequantize(node) and any(is_dequantize(qlinear.producer(name)) for name in node.input)
    }


def _on_integers(node: NodeProto) -> Fate:
    return "moved" if moves_values(node) or is_op(node, "Concat") else "integers"


def _before(reference: Graph, node: NodeProto, found: Mapping[str, Fate]) -> Fate | None:
    """Return where a node is that is gone: in the one that makes its first computed input, if there is one."""
    if not (is_op(node, *ACTIVATIONS, "Add") or moves_values(node)):
        return None
    makers = [reference.producer(name) for name in node.input if name]
    fate = next((found.get(maker.name) for maker in makers if maker is not None), None)
    return _on_integers(node) if fate in ("integers", "moved") else fate
