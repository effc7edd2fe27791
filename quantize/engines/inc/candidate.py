"""Neural Compressor's candidates, made clean and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from quantize.models.artifact import ModelArtifact, save_model

_DEFAULT_DOMAINS = ("", "ai.onnx")


def cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without opset imports that no node uses.

    Neural Compressor has onnxruntime write the graph that it starts from, and onnxruntime imports eight domains of its
    own whether or not a node needs them; other readers refuse a model for a domain that they do not know.
    """
    used = {node.domain for node in _nodes(model.graph)} | {""}
    for function in model.functions:
        used |= {node.domain for node in function.node}
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    del clean.opset_import[:]
    for opset in sorted(model.opset_import, key=lambda entry: entry.domain):
        domain = "" if opset.domain in _DEFAULT_DOMAINS else opset.domain
        if domain in used:
            clean.opset_import.add(domain=domain, version=opset.version)
    return clean


def keep_candidate(captured: Path, folder: Path, name: str) -> ModelArtifact:
    """Move a model that the child process wrote to ``folder/name.onnx``, cleaned.

    Args:
        captured: The file as Neural Compressor made it; removed.
        folder: Where candidates are kept.
        name: The candidate's name, its recipe's id.

    Raises:
        ModelError: The file is no model that this package takes.
    """
    artifact = save_model(cleaned(onnx.load(captured)), folder / f"{name}.onnx")
    captured.unlink()
    return artifact


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)
