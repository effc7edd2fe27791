"""Nodes that nothing reads, weights that nothing uses, operator sets that no node is of."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, helper

from quantize.graph.nodes import DEFAULT_DOMAINS, all_nodes, default_opset, reads, replace_all


def remove_dead_code(model: ModelProto) -> None:
    """Remove what does not lead to an output: nodes, initializers, inputs, stored shapes, opset imports.

    Changes the model in place. The stored shapes of tensors between nodes are all removed: they can be inferred, and
    may be wrong after a change.
    """
    graph = model.graph
    alive = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if any(name in alive for name in node.output):
            kept.append(node)
            alive.update(reads(node))
    replace_all(graph.node, reversed(kept))
    replace_all(graph.initializer, (tensor for tensor in graph.initializer if tensor.name in alive))
    replace_all(graph.sparse_initializer, (t for t in graph.sparse_initializer if t.values.name in alive))
    replace_all(graph.input, (value for value in graph.input if value.name in alive))
    del graph.value_info[:], graph.quantization_annotation[:]
    declare_opsets(model, default_opset(model))


def declare_opsets(model: ModelProto, default: int) -> None:
    """Declare a version of the default operator set, and drop the operator sets that no node is of. In place."""
    used = {node.domain for node in all_nodes(model.graph)} - set(DEFAULT_DOMAINS)
    kept = {entry.domain: entry.version for entry in model.opset_import if entry.domain in used}
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", default))
    model.opset_import.extend(helper.make_opsetid(domain, kept[domain]) for domain in sorted(kept))
