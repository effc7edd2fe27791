"""What an engine does with each node of a model: compute on integers, move them, or leave it in float, and why.

It is read off a model that the engine built, the first that its search tries: what an engine takes, how it fuses and
what it leaves alone is its own, and no list of ours would stay true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from onnx import ModelProto

from quantize.engines.fates import Fate, fates
from quantize.engines.native.builder.builder import op_types_of
from quantize.engines.native.builder.layers import layers
from quantize.engines.native.search.op_graph import head_ops, op_graph
from quantize.formats.float_reasons import FloatReason, computing_nodes, type_of
from quantize.graph.nodes import WEIGHTED
from quantize.graph.regions import regions
from quantize.graph.view import Graph
from quantize.recipe import Recipe

HEAD = "no product takes it as integers, and 8 bits would cost accuracy there"
ASKED = "the settings keep it there"
LEFT = "left there with {engine}"
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


def foreseen(
    model: ModelProto,
    qlinear: ModelProto,
    recipe: Recipe,
    *,
    stay: Mapping[str, FloatReason],
    asked: Collection[str] = (),
    engine: str,
) -> tuple[Foreseen, ...]:
    """Return what is done with each node that computes with floats, in the graph's order.

    Args:
        model: The prepared fp32 model.
        qlinear: What the engine made of it, in QLinear format.
        recipe: What that was built from.
        stay: The nodes that no recipe of these types can compute on integers, and why, by name.
        asked: Names of the nodes that the settings keep in float.
        engine: The engine, in words: it is said to have left what nothing else explains.
    """
    became = fates(model, qlinear)
    ops = op_graph(model, op_types_of(recipe))
    head = head_ops(ops, {layer.node for layer in layers(model)})
    of_head = {name for op in ops.ops if op.name in head for name in op.node_names}
    inside = {name: _REGIONS[region.kind] for region in regions(Graph.of(model)) for name in region.float_nodes}
    found = []
    for node in computing_nodes(model):
        name, op_type = node.name, type_of(node)
        fate = became.get(name, "float")
        if fate != "float":
            found.append(Foreseen(name, op_type, fate))
        elif name in asked:
            found.append(Foreseen(name, op_type, fate, ASKED, designed=True))
        elif name in inside:
            found.append(Foreseen(name, op_type, fate, inside[name], designed=True))
        elif name in stay:
            found.append(Foreseen(name, op_type, fate, stay[name].in_words))
        elif name in of_head:
            found.append(Foreseen(name, op_type, fate, HEAD, designed=True))
        else:
            found.append(Foreseen(name, op_type, fate, LEFT.format(engine=engine), designed=True))
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
    """Return why no layer with weights computes on integers; nothing where one does."""
    weighted = [node for node in nodes if node.op_type in WEIGHTED]
    if any(node.fate == "integers" for node in weighted):
        return []
    return float_sentences(weighted) or ["it has no convolution or matrix product"]
