"""Checks of the graph alone: damaged weights, already quantized, two softmaxes, operators without int8."""

from __future__ import annotations

from collections import Counter

import numpy as np
from onnx import ModelProto, numpy_helper

from quantize.doctor.findings import Examination, Finding, right, wrong
from quantize.formats import quantized_format
from quantize.graph.view import Graph
from quantize.models.contract import ModelContract

_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_MOVING = frozenset({"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
# What onnxruntime's CPU provider runs on integers, or between two integer operators without a conversion.
_INT8 = frozenset(
    {
        *("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv"),
        *("Dropout", "Flatten", "Gather", "Gemm", "GlobalAveragePool", "Identity", "LeakyRelu", "MatMul"),
        *("MaxPool", "Mul", "Pad", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Softmax"),
        *("Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
    }
)


def examine_weights(model: ModelProto) -> Examination:
    """Return whether every weight is a finite number."""
    damaged = {
        tensor.name: int((~np.isfinite(values)).sum())
        for tensor in model.graph.initializer
        if (values := numpy_helper.to_array(tensor)).dtype.kind == "f" and not np.isfinite(values).all()
    }
    name = "weights"
    if not damaged:
        return right(name, "all finite")
    listed = ", ".join(f"{tensor} ({count:,})" for tensor, count in list(damaged.items())[:5])
    return wrong(
        name,
        f"not finite in {len(damaged):,} tensors",
        Finding(
            check=name,
            what="The model's weights hold NaN or infinities.",
            sure="certain",
            evidence=f"not finite: {listed}",
            advice="Export the model again, or fetch it again; a file like this was saved from a diverged training.",
        ),
    )


def examine_format(model: ModelProto) -> Examination:
    """Return whether the model is fp32."""
    name, kind = "format", quantized_format(model)
    if kind == "float":
        return right(name, "fp32")
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
            sure="certain",
            evidence=f"one after another: {', '.join(reversed(softmaxes))}; every class then has nearly the same "
            "score, which int8 cannot tell apart",
            advice="Export the model with one softmax, or none.",
        ),
    )


def examine_operators(model: ModelProto) -> Examination:
    """Return which operators the CPU provider will not run in int8."""
    name = "operators"
    missing = Counter(
        f"{node.domain}:{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        for node in model.graph.node
        if node.domain not in ("", "ai.onnx") or node.op_type not in _INT8
    )
    if not missing:
        return right(name, "the CPU provider runs all of them in int8")
    listed = ", ".join(f"{op} ({count})" for op, count in sorted(missing.items()))
    note = Finding(
        check=name,
        severity="note",
        what="Some operators stay in fp32: the CPU provider has no int8 form of them.",
        sure="certain",
        evidence=listed,
        advice="Expect less speed-up where they stand between convolutions; see the profile of `quantize benchmark`.",
    )
    return right(name, f"without int8: {listed}", note)


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
