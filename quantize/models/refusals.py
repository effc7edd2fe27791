"""Models that are refused as fp32 classifiers, and why."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto

from quantize.errors import ModelError
from quantize.graph.branches import nodes_that_may_run
from quantize.graph.nodes import RANDOM, all_nodes, attribute, is_op
from quantize.graph.view import Graph
from quantize.models.contract import ModelContract, model_contract, real_inputs
from quantize.models.score_tensor import describe

_QUANTIZED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "MatMulNBits",
        "QAttention",
        "QGemm",
        "QuantizeLinear",
    }
)
_TRAINING_DOMAINS = ("ai.onnx.training", "ai.onnx.preview.training")
_SEQUENCES = frozenset({"sequence_type", "optional_type", "map_type"})
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def refuse_unsuitable(model: ModelProto, where: str, *, score_output: str | None = None) -> None:
    """Refuse a model that is no fp32 image classifier, with the reason.

    Args:
        model: As read from its file.
        where: The model's name in errors.
        score_output: The output that holds the scores, where several could.

    Raises:
        ModelError: It is quantized already or in training mode, draws at random, gives sequences, or does not take one
            image, or give class scores, in float32, float16 or float64.
    """
    nodes = list(nodes_that_may_run(Graph.of(model)))
    _refuse_quantized(model, where)
    _refuse_training(model, nodes, where)
    _refuse_random(nodes, where)
    _refuse_sequences(model, where)
    contract = model_contract(model, where=where, score_output=score_output)
    if contract.input.dtype == "uint8":
        raise ModelError(
            "the model takes pixels as they are decoded (uint8)",
            where=where,
            found=describe(real_inputs(model)[0]),
            expected="an image of float32",
            advice="give the fp32 model that it was made from; --input_contract makes int8 models that take pixels",
        )
    _refuse_types(model, contract, where)


def _refuse_types(model: ModelProto, contract: ModelContract, where: str) -> None:
    values = [(value, "input") for value in real_inputs(model)]
    values += [(value, "output") for value in model.graph.output if value.name == contract.output.name]
    for value, kind in values:
        element = value.type.tensor_type.elem_type
        if element not in _FLOATS:
            of = "an image" if kind == "input" else "class scores"
            raise ModelError(
                f"the model's {kind} is not of a floating-point type that onnxruntime takes from Python",
                where=where,
                found=describe(value),
                expected=f"{of} of float32, float16 or float64",
                advice="export the model with inputs and outputs in float32; its weights may stay in bfloat16"
                if element == TensorProto.BFLOAT16
                else None,
            )


def quantized_operators(model: ModelProto) -> list[str]:
    """Return the types of a model's operators that compute with, or make, integers for real numbers, sorted."""
    op_types = {node.op_type for node in all_nodes(model.graph)}
    return sorted(name for name in op_types if name in _QUANTIZED or name.startswith("QLinear"))


def _refuse_quantized(model: ModelProto, where: str) -> None:
    op_types = quantized_operators(model)
    if op_types:
        raise ModelError(
            "the model is quantized already",
            where=where,
            found=f"operators {', '.join(op_types)}",
            expected="the fp32 model",
            advice="give the model that it was made from; 'quantize benchmark' measures quantized models",
        )


def _refuse_training(model: ModelProto, nodes: list[NodeProto], where: str) -> None:
    graph = Graph.of(model)
    for node in nodes:
        training = (
            node.domain in _TRAINING_DOMAINS
            or (is_op(node, "BatchNormalization") and attribute(node, "training_mode", 0) == 1)
            or (
                is_op(node, "Dropout")
                and len(node.input) > 2
                and node.input[2]
                and _is_true(graph.tensor(node.input[2]))
            )
        )
        if training:
            raise ModelError(
                "the model is in training mode",
                where=where,
                found=_named(node),
                expected="a model exported for inference",
                advice="export it in evaluation mode (PyTorch: model.eval() first)",
            )


def _refuse_random(nodes: list[NodeProto], where: str) -> None:
    node = next((node for node in nodes if is_op(node, *RANDOM)), None)
    if node is not None:
        raise ModelError(
            "the model computes with random numbers, so it gives one image other scores each time",
            where=where,
            found=_named(node),
            expected="a model that gives one image the same scores always",
            advice="export it without what is random: noise and dropped paths belong to training",
        )


def _named(node: NodeProto) -> str:
    return f"node {node.name or (node.output[0] if node.output else '')!r} ({node.op_type})"


def _is_true(tensor: TensorProto | None) -> bool:
    # Only known to be off where it is a constant False.
    return tensor is None or any(tensor.int32_data) or any(tensor.raw_data)


def _refuse_sequences(model: ModelProto, where: str) -> None:
    for value in model.graph.output:
        if value.type.WhichOneof("value") in _SEQUENCES:
            raise ModelError(
                "the model gives a sequence or map instead of a tensor",
                where=where,
                found=describe(value),
                expected="one tensor of class scores that squeezes to [N, classes]",
                advice="export it without the final ZipMap (skl2onnx: options={'zipmap': False})",
            )
