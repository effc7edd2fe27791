"""What a search will do with each node of a model: compute on integers, move them, or leave it in float.

It is asked of what the search itself asks: the ops that can be placed, the reasons of the others, the regions in which
nothing is rounded, and the head that stays in float.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto

from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.formats.float_reasons import float_reasons
from quantize.graph.nodes import WEIGHTED
from quantize.graph.regions import regions
from quantize.graph.view import Graph
from quantize.recipe import Recipe

Fate = Literal["integers", "moved", "float"]

HEAD = "no product follows, and 8 bits would cost accuracy there"
ASKED = "the settings keep it there"
_REGIONS: Mapping[str, str] = {
    "function": "part of an activation that is written as several nodes",
    "normalization": "part of a normalization that is written as several nodes",
    "biased product": "the bias of a MatMul",
}


@dataclass(frozen=True)
class Foreseen:
    """What will be done with a node.

    Attributes:
        node: Its name.
        op_type: Its type, with the domain before it outside of the default one.
        fate: ``integers``: it computes on integers, unless a search finds float faster or nearer; ``moved``: it moves
            its input's integers; ``float``: it stays in float.
        why: Why it stays in float; "" for the others.
        designed: It stays in float because that is better, not because it cannot compute on integers.
    """

    node: str
    op_type: str
    fate: Fate
    why: str = ""
    designed: bool = False


def foreseen(model: ModelProto, recipe: Recipe) -> tuple[Foreseen, ...]:
    """Return what will be done with each node that computes with floats, in the graph's order.

    Args:
        model: The prepared fp32 model.
        recipe: What the settings leave to a search.
    """
    op_types = op_types_of(recipe)
    ops = op_graph(model, op_types)
    head = head_ops(ops, {layer.node for layer in layers(model)})
    reasons = float_reasons(model, op_types, activation_type=recipe.activation_type, weight_type=recipe.weight_type)
    inside = {name: _REGIONS[region.kind] for region in regions(Graph.of(model)) for name in region.float_nodes}
    of_node = {name: op for op in ops.ops for name in op.node_names}
    found = []
    for node in model.graph.node:
        fate: Fate
        own = of_node.get(node.name)
        op_type = reasons[node.name].op_type if node.name in reasons else node.op_type
        if node.name in recipe.float_nodes or node.op_type in recipe.float_op_types:
            found.append(Foreseen(node.name, op_type, "float", ASKED, designed=True))
        elif node.name in inside:
            found.append(Foreseen(node.name, op_type, "float", inside[node.name], designed=True))
        elif node.name in reasons:
            found.append(Foreseen(node.name, op_type, "float", reasons[node.name].in_words))
        elif own is not None and own.name in head:
            found.append(Foreseen(node.name, op_type, "float", HEAD, designed=True))
        elif own is not None:
            fate = "moved" if own.moving and node.name == own.name else "integers"
            found.append(Foreseen(node.name, op_type, fate))
    return tuple(found)


def counted(nodes: Iterable[Foreseen]) -> str:
    """Return nodes counted by type: ``26 Conv, 1 Gemm``; those that are most first."""
    counts = Counter(node.op_type for node in nodes)
    return ", ".join(f"{count:,} {op_type}" for op_type, count in counts.most_common())


def float_sentences(nodes: Iterable[Foreseen]) -> list[str]:
    """Return why nodes stay in float, a text for each reason: ``2 ReduceMean: this onnxruntime has no ...``."""
    by_reason: dict[str, list[Foreseen]] = {}
    for node in nodes:
        if node.fate == "float":
            by_reason.setdefault(node.why, []).append(node)
    return [f"{counted(group)}: {why}" for why, group in by_reason.items()]


def why_no_integers(nodes: Iterable[Foreseen]) -> list[str]:
    """Return why no layer with weights can compute on integers; nothing where one can."""
    weighted = [node for node in nodes if node.op_type in WEIGHTED]
    if any(node.fate == "integers" for node in weighted):
        return []
    return float_sentences(weighted) or ["it has no convolution or matrix product"]
