"""Checks of the graph alone: already quantized, two softmaxes, a batch that is fixed."""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto

from quantize.errors import ConfigError, ModelError
from quantize.examination.findings import Examination, Finding, right, sentence, wrong
from quantize.formats import quantized_format
from quantize.graph.nodes import all_nodes
from quantize.graph.view import Graph
from quantize.models.contract import ModelContract
from quantize.models.float32 import other_floats
from quantize.models.refusals import refuse_unsuitable
from quantize.run.taken import taken_model

_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_MOVING = frozenset({"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def examine_format(
    model: ModelProto,
    where: str,
    *,
    score_output: str | None = None,
    requantize: bool = False,
    engines: tuple[str, ...] = (),
) -> Examination:
    """Return whether the model is one that tuning takes: if not, the error is that of tuning.

    Args:
        model: As read from its file.
        where: The model's name in errors.
        score_output: The output that holds the scores, where several could.
        requantize: Whether quantization is to be taken off it.
        engines: Those that are to tune it.
    """
    name, kind = "format", quantized_format(model)
    try:
        taken = taken_model(model, where=where, requantize=requantize, engines=engines)
        refuse_unsuitable(taken.model, where, score_output=score_output)
    except (ConfigError, ModelError) as error:
        counts = Counter(node.op_type for node in all_nodes(model.graph))
        quantized = {op: n for op, n in counts.items() if "QLinear" in op or "QuantizeLinear" in op or "Integer" in op}
        return wrong(
            name,
            f"quantized ({kind})" if quantized else "not one that is tuned",
            Finding(
                check=name,
                what=f"Tuning refuses this: {error.problem}.",
                sure="certain",
                evidence=", ".join(f"{count} {op}" for op, count in sorted(quantized.items()))
                or "; ".join(filter(None, (error.found, f"expected: {error.expected}" if error.expected else None)))
                or where,
                advice=sentence(error.advice or "Export it in a form that is taken."),
            ),
        )
    if kind != "float":
        return right(name, f"quantized ({kind}), {'taken back to float' if requantize else 'in places: kept'}")
    others = other_floats(model)
    return right(name, f"{', '.join(others)}, converted to fp32" if others else "fp32")


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
        return right(name, contract.scores_in_words)
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
