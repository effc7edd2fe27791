"""A recipe's rewrites, applied to the candidate in the order that the rewrites' room keeps."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from quantize.formats import canonical, to_qdq
from quantize.graph.view import Graph
from quantize.rewrites import select_rewrites


def rewritten(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return ``model`` (QDQ) after the named rewrites; those that match nothing change nothing.

    Raises:
        ConfigError: If there is no rewrite of a name.
    """
    if not names:
        return model
    current = canonical(model)
    for one in select_rewrites(names):
        graph = Graph(current)
        if one.apply(graph):
            current = graph.model()
    return to_qdq(current)
