"""How many nodes of each type a model has."""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto

from quantize.graph.nodes import all_nodes


def op_counts(model: ModelProto) -> dict[str, int]:
    """Return a model's op type (``domain:type`` outside of the default domain) to the number of nodes, sorted.

    Nodes inside an If, Loop or Scan count too.
    """
    nodes = all_nodes(model.graph)
    counts = Counter(f"{node.domain}:{node.op_type}" if node.domain else node.op_type for node in nodes)
    return dict(sorted(counts.items()))
