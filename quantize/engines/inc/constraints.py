"""Constraints on ops: from Neural Compressor's 1.x dialect to its op dictionaries, and whether they took effect."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from onnx import GraphProto, ModelProto

from quantize.engines.inc.decision import OpDecision
from quantize.engines.inc.settings import IncSettings, OpConstraint
from quantize.errors import EngineError
from quantize.formats.float_reasons import float_reasons
from quantize.graph.nodes import ACTIVATIONS, SCORE_KEEPING
from quantize.graph.view import Graph

OpDictionary = dict[str, dict[str, dict[str, list[str]]]]

_FLOAT_HEAD_TYPES = ("GlobalAveragePool", "Softmax")
"""Op types kept in fp32 by default: quantized, they give 4.8 % of ImageNet's images two equal top scores."""

_PADS_INPUTS = 2
"""What a Pad by zeros over every axis takes: a tensor and amounts."""

_FLOAT = {"weight": {"dtype": "fp32"}, "activation": {"dtype": "fp32"}}


def op_type_dict(settings: IncSettings) -> OpDictionary:
    """Return Neural Compressor's ``op_type_dict``: the whole model, then the float head, then each op type."""
    types: OpDictionary = {".*": _lists(settings.model_wise)} if settings.model_wise else {}
    types.update({op_type: _lists(_FLOAT) for op_type in _FLOAT_HEAD_TYPES})
    types.update({op_type: _lists(constraint) for op_type, constraint in settings.optype_wise.items()})
    return types


def op_name_dict(settings: IncSettings, model: ModelProto) -> OpDictionary:
    """Return Neural Compressor's ``op_name_dict``: each op that is named, then what stays in fp32.

    That is each op that this onnxruntime cannot compute on integers, though Neural Compressor may think so, Pads that
    it gets wrong, and the head.

    A constraint by name makes Neural Compressor forget what was said by type, so that a pattern about, say,
    granularity would quantize the head again; hence the head is named too. It is quantized only where a constraint
    that matches it gives a dtype.

    Args:
        settings: The constraints.
        model: The fp32 model.
    """
    graph = model.graph
    reasons = float_reasons(model, {node.op_type for node in graph.node})
    names = {re.escape(name): _lists(_FLOAT) for name, reason in reasons.items() if reason.kind != "body"}
    names.update({re.escape(name): _lists(_FLOAT) for name in _mistaken_pads(graph)})
    names.update((name, _lists(constraint)) for name, constraint in settings.op_wise.items())
    head = [(node.name, node.op_type) for node in graph.node if node.op_type in _FLOAT_HEAD_TYPES]
    head += [(name, "Add") for name in _score_bias_names(graph)]
    head += [(name, "Sigmoid") for name in _score_sigmoids(graph)]
    for name, op_type in head:
        if not _gives_dtype(settings.op_wise, name) and not _gives_dtype(settings.optype_wise, op_type):
            names[re.escape(name)] = _lists(_FLOAT)
    return names


def _mistaken_pads(graph: GraphProto) -> list[str]:
    """Return the names of Pads that Neural Compressor gets wrong.

    Those are the ones that an activation alone reads: it removes the activation, gives the Pad's result the
    activation's grid, and pads the integers that the Pad takes, which are on another one: the values that come out are
    others. And those that name their value, or their axes: it puts the value into int8 among integers of uint8, which
    no onnxruntime opens, saturated where it lies outside the grid of the Pad's input, and removes the constant, which
    another Pad may share.
    """
    view = Graph.of(graph)
    pads = [(node, view.sole_consumer(node.output[0])) for node in graph.node if node.op_type == "Pad"]
    return [
        pad.name
        for pad, reader in pads
        if any(pad.input[_PADS_INPUTS:]) or (reader is not None and reader.op_type in ACTIVATIONS)
    ]


def _score_sigmoids(graph: GraphProto) -> list[str]:
    """Return the Sigmoid that gives the scores: in int8 it has 256 levels. One inside the network may be quantized."""
    view = Graph.of(graph)
    names, node = [], view.producer(view.outputs[0])
    while node is not None and node.op_type in SCORE_KEEPING:
        if node.op_type == "Sigmoid":
            names.append(node.name)
        node = view.producer(node.input[0])
    return names


def _score_bias_names(graph: GraphProto) -> list[str]:
    """Return the names that the op may have that adds the bias of the layer that gives the scores.

    Neural Compressor splits a Gemm into a MatMul and an Add and, in QLinear only, quantizes the Add: the scores then
    have 256 levels. (Measured on EfficientNet-Lite0: 2 % of images with two equal top scores, none with this Add in
    fp32.) It is named after the Gemm, which onnxruntime may itself have made of a MatMul and an Add.

    Args:
        graph: The fp32 graph; its first output is the scores.
    """
    view = Graph.of(graph)
    node = view.producer(view.outputs[0])
    while node is not None and node.op_type in SCORE_KEEPING:
        node = view.producer(node.input[0])
    if node is not None and node.op_type == "Gemm":
        return [f"{node.name}_Add"]
    if node is not None and node.op_type == "Add":
        makers = [maker for name in node.input if (maker := view.producer(name)) is not None]
        fused = [f"{maker.name}/MatMulAddFusion_Add" for maker in makers if maker.op_type == "MatMul"]
        return [node.name, *fused] if fused else []
    return []


def check_heeded(settings: IncSettings, decisions: Sequence[OpDecision]) -> None:
    """Refuse constraints that Neural Compressor drops without a word.

    Args:
        settings: The requested settings.
        decisions: The first tuning configuration.

    Raises:
        EngineError: A constraint matches no op, or no matched op can be what it is asked to be.
    """
    for key, pattern, constraint, names in _asked(settings, decisions):
        matched = [op for op, name in zip(decisions, names, strict=True) if _matches(pattern, name)]
        if not matched:
            raise _unknown(key, pattern, sorted(set(names)))
        for tensor, properties in _lists(constraint).items():
            for property_name, allowed in properties.items():
                # A strategy may begin with ops in fp32, which say nothing about how they would be quantized.
                telling = [op for op in matched if op.quantized or allowed == ["fp32"]]
                values = {value for op in telling if (value := op.property(tensor, property_name)) is not None}
                if telling and not values.intersection(allowed):
                    raise EngineError(
                        f"Neural Compressor cannot make {tensor} {property_name} {' or '.join(allowed)} there",
                        where=key,
                        found=f"{property_name} {', '.join(sorted(values)) or 'not settable'} in spite of it",
                        advice="remove the constraint, or name ops that can be so",
                    )


def _asked(
    settings: IncSettings, decisions: Sequence[OpDecision]
) -> Iterator[tuple[str, str, OpConstraint, list[str]]]:
    """Yield (key, pattern, constraint, what the pattern is matched with for each op)."""
    types = [op.op_type for op in decisions]
    if settings.model_wise:
        yield "quantization.model_wise", ".*", settings.model_wise, types
    for pattern, constraint in settings.optype_wise.items():
        yield f"quantization.optype_wise.{pattern}", pattern, constraint, types
    for pattern, constraint in settings.op_wise.items():
        yield f"quantization.op_wise.{pattern}", pattern, constraint, [op.name for op in decisions]


def _unknown(key: str, pattern: str, names: list[str]) -> EngineError:
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4)
    return EngineError(
        "the optimized graph has no quantizable op of this name",
        where=key,
        found=pattern,
        expected="a name, or a regular expression that matches the whole of some",
        advice=f"{'nearest' if near else 'some are'}: {', '.join(near or names[:3])}",
    )


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error as error:
        raise EngineError(
            f"not a regular expression: {error}",
            where="quantization",
            found=pattern,
            advice="escape the name's special characters with a backslash",
        ) from None


def _gives_dtype(constraints: Mapping[str, OpConstraint], name: str) -> bool:
    return any(
        "dtype" in properties
        for pattern, constraint in constraints.items()
        if _matches(pattern, name)
        for properties in constraint.values()
    )


def _lists(constraint: Mapping[str, Mapping[str, str | Sequence[str]]]) -> dict[str, dict[str, list[str]]]:
    """Return the constraint with a list for every property.

    In the 1.x dialect a dtype of both ``uint8`` and ``fp32`` allows both; Neural Compressor 3.7.1 takes it for fp32
    alone. Strategies fall back to fp32 by themselves, so only the integers are named.
    """
    lists = {
        tensor: {name: [value] if isinstance(value, str) else list(value) for name, value in properties.items()}
        for tensor, properties in constraint.items()
    }
    for properties in lists.values():
        if len(properties.get("dtype", [])) > 1:
            properties["dtype"] = [dtype for dtype in properties["dtype"] if dtype != "fp32"]
    return lists
