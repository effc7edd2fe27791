"""Checks of the graph alone: already quantized, two softmaxes, a batch that is fixed."""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto

from quantize.doctor.findings import Examination, Finding, right, wrong
from quantize.formats import quantized_format
from quantize.graph.view import Graph
from quantize.models.contract import ModelContract
from quantize.models.float32 import other_floats

_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_MOVING = frozenset({"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def examine_format(model: ModelProto) -> Examination:
    """Return whether the model is fp32."""
    name, kind = "format", quantized_format(model)
    if kind == "float":
        others = other_floats(model)
        return right(name, f"{', '.join(others)}, converted to fp32" if others else "fp32")
    counts = Counter(node.op_type for node in model.graph.node)
    quantized = {op: n for op, n in counts.items() if "QLinear" in op or "QuantizeLinear" in op or "Integer" in op}
    return wrong(
        name,
        f"quantized ({kind})",
        Finding(
            check=name,
            what="The model is quantized already.",
            sure="certain",
            evidence=", ".join(f"{count} {op}" for op, count in sorted(quantized.items())),
            advice="Give the fp32 model that it was made from; `quantize benchmark` measures quantized models.",
        ),
    )


def examine_scores(model: ModelProto, contract: ModelContract) -> Examination:
    """Return whether the scores are logits or go through one softmax."""
    name = "scores"
    graph = Graph.of(model)
    softmaxes: list[str] = []
    node = graph.producer(graph.outputs[0])
    while node is not None and (node.op_type in _SOFTMAX or node.op_type in _MOVING):
        if node.op_type in _SOFTMAX:
            softmaxes.append(node.name or node.output[0])
        node = graph.producer(node.input[0])
    if len(softmaxes) < 2:
        return right(name, "probabilities (softmax)" if contract.scores == "softmax" else "logits")
    return wrong(
        name,
        f"{len(softmaxes)} softmaxes",
        Finding(
            check=name,
            what="The scores go through more than one softmax.",
            sure="very likely",
            evidence=f"one after another: {', '.join(reversed(softmaxes))}; every class then has nearly the same "
            "score, which int8 cannot tell apart",
            advice="Export the model with one softmax, or none.",
        ),
    )


def examine_batch(contract: ModelContract) -> Examination:
    """Return whether the model takes batches of any size."""
    name, fixed = "batch", contract.fixed_batch
    if fixed is None or fixed == 1:
        return right(name, "any size" if fixed is None else "one image at a time")
    note = Finding(
        check=name,
        severity="note",
        what=f"The model takes exactly {fixed} images at once.",
        sure="certain",
        evidence=f"input {contract.input.name} of shape {list(contract.input.shape)}",
        advice="Export it with a symbolic batch, or a batch of 1, before latencies are compared.",
    )
    return right(name, f"exactly {fixed}", note)
