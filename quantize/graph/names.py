"""A name for every node, the same each time."""

from __future__ import annotations

from onnx import ModelProto


def name_nodes(model: ModelProto) -> None:
    """Name nodes that have no name, or another's, after their operator and first output. In place."""
    taken = {node.name for node in model.graph.node if node.name}
    seen: set[str] = set()
    for node in model.graph.node:
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        hint = node.name or f"{node.op_type}_{next(iter(node.output), '')}"
        name, number = hint, 1
        while name in taken:
            number += 1
            name = f"{hint}_{number}"
        node.name = name
        taken.add(name)
        seen.add(name)
