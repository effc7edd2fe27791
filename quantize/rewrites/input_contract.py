"""The input contract of a model: normalized floats, or raw pixels with the normalization in the first Conv.

Per channel the model's own input is an affine function of the contract's, ``native = a * given + b``, channels possibly
in another order. A Conv without padding takes it in exactly: its weights times ``a``, and ``b`` times the weights' sum
in its bias. Padding is zero in native numbers, which is the mean's pixel in the contract's: in fp32 each channel is
padded with its own value first; a quantized Conv pads with the nearest pixel, and ``check_input_contract`` sees whether
the scores bear it (contract_check.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from quantize.data.preprocessing import Preprocessing
from quantize.errors import ModelError
from quantize.formats import canonical, quantized_format
from quantize.graph.nodes import is_op
from quantize.graph.view import Graph
from quantize.rewrites.channel_affine import ChannelAffine, InputContract
from quantize.rewrites.convs import conv_bias, conv_pads, conv_weight, first_conv, replace_conv
from quantize.rewrites.input_contract_quantized import common_padding, fold_quantized

PADDING = 2


def fold_input_contract(
    model: ModelProto,
    contract: InputContract,
    preprocessing: Preprocessing,
    *,
    reference: ModelProto | None = None,
) -> ModelProto:
    """Return a model that takes its input as the contract says.

    Args:
        model: fp32, or quantized in any format, with one image input (N, C, H, W) that one Conv reads first.
        contract: What it shall take. ``as-is`` returns the model itself.
        preprocessing: What its own input is made with.
        reference: The fp32 model with the same names, from whose weights a quantized first Conv is quantized again
            where the normalization differs between channels (otherwise its integers stay as they are).

    Returns:
        An fp32 model, or a quantized one in canonical form.

    Raises:
        ModelError: Something else than one Conv without groups reads the input, or the contract is of three colours and
            the model of one channel.
    """
    if contract == "imagenet" and preprocessing.channels == 1:
        raise ModelError(
            "the input contract imagenet is of three colours",
            found="a model of one channel",
            expected="--input_contract as-is, uint8-nchw or uint8-nhwc",
            advice="leave the input as it is, or let the model take pixels",
        )
    affine = ChannelAffine.between(contract, preprocessing)
    if contract == "as-is" or (affine.is_identity and contract == "imagenet"):
        return model
    graph = Graph(model if quantized_format(model) == "float" else canonical(model))
    name = graph.inputs[0]
    conv, quantize = first_conv(graph, name)
    if conv is None:
        raise ModelError(
            f"the input contract {contract} needs a Conv that reads the input first",
            where=f"input {name}",
            found=", ".join(node.op_type for node in graph.consumers(name)) or "nothing",
            advice="leave the input as it is: --input_contract as-is",
        )
    pads = conv_pads(graph, name, conv) if quantize is None else []
    pixels = _declare(graph, name, contract)
    if quantize is not None:
        fold_quantized(graph, conv, pixels, contract, affine, _first_weight(reference))
        graph.remove([quantize])
    else:
        _fold_float(graph, conv, pixels, contract, affine, pads)
    return graph.model()


def padded_as_quantized(folded: ModelProto, contract: InputContract) -> ModelProto:
    """Return a folded fp32 model whose first Conv pads as the quantized one does: all channels with one value."""
    if not pads_otherwise(folded):
        return folded
    graph = Graph(folded)
    paddings = _paddings(graph)
    common = np.array(common_padding(contract, np.array(list(paddings.values()))), np.float32)
    for name in paddings:
        graph.set_constant(name, common)
    return graph.model()


def pads_otherwise(folded: ModelProto) -> bool:
    """Return whether the first Conv of a folded fp32 model pads each channel with a value of its own."""
    return bool(_paddings(Graph.of(folded)))


def _paddings(graph: Graph) -> dict[str, NDArray[Any]]:
    """Return the values that folding pads channels with, by the constants' names."""
    pads = [node for node in graph.nodes if is_op(node, "Pad") and len(node.input) > PADDING]
    own = [node.input[PADDING] for node in pads if node.input[PADDING] == node.name.replace("_Pad_", "_padding_")]
    return {name: value for name in own if (value := graph.constant(name)) is not None}


def _declare(graph: Graph, name: str, contract: InputContract) -> str:
    """Change the declared input and return the name of its pixels, channels first."""
    if contract == "imagenet":
        return name
    value = graph.proto.input[0]
    batch, channels, height, width = value.type.tensor_type.shape.dim
    dims = [batch, height, width, channels] if contract == "uint8-nhwc" else [batch, channels, height, width]
    shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims]
    value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
    if contract == "uint8-nchw":
        return name
    turned = graph.fresh(f"{name}_channels_first")
    graph.add("Transpose", [name], [turned], name=f"{name}_Transpose", perm=[0, 3, 1, 2])
    return turned


def _fold_float(
    graph: Graph, conv: NodeProto, pixels: str, contract: InputContract, affine: ChannelAffine, pads: list[int]
) -> None:
    weight = conv_weight(graph, conv)
    assert weight is not None
    if contract != "imagenet":
        cast = graph.fresh(f"{pixels}_float")
        graph.add("Cast", [pixels], [cast], name=f"{pixels}_Cast", to=TensorProto.FLOAT)
        pixels = cast
    new, shift = affine.folded(weight)
    if any(pads):
        pixels = _pad_channels(graph, pixels, affine.padding, pads, conv.name)
    bias = conv_bias(graph, conv, len(new))
    inputs = [
        pixels,
        graph.add_constant(f"{conv.name}_weight", new.astype(np.float32)),
        graph.add_constant(f"{conv.name}_bias", (bias + shift).astype(np.float32)),
    ]
    replace_conv(graph, conv, inputs, padded=True)


def _pad_channels(graph: Graph, pixels: str, values: NDArray[np.float64], pads: Sequence[int], hint: str) -> str:
    """Pad each channel of a tensor with its own value, and return the result's name.

    Args:
        graph: To add to.
        pixels: The tensor, float32 (N, C, H, W).
        values: What to pad with, (C,).
        pads: Before each axis, after each axis.
        hint: What new nodes and tensors are named after.
    """
    channels = [graph.fresh(f"{hint}_channel_{number}") for number in range(len(values))]
    if graph.opset >= 13:
        sizes = graph.add_constant(f"{hint}_channels", np.ones(len(values), np.int64))
        graph.add("Split", [pixels, sizes], channels, name=f"{hint}_Split", axis=1)
    else:
        graph.add("Split", [pixels], channels, name=f"{hint}_Split", axis=1, split=[1] * len(values))
    amounts = graph.add_constant(f"{hint}_pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
    padded = []
    for number, name in enumerate(channels):
        value = graph.add_constant(f"{hint}_padding_{number}", np.array(values[number], np.float32))
        padded.append(graph.fresh(f"{hint}_padded_{number}"))
        graph.add("Pad", [name, amounts, value], [padded[-1]], name=f"{hint}_Pad_{number}")
    joined = graph.fresh(f"{hint}_padded")
    graph.add("Concat", padded, [joined], name=f"{hint}_Concat", axis=1)
    return joined


def _first_weight(reference: ModelProto | None) -> NDArray[np.generic] | None:
    """Return the weight of the fp32 model's first Conv, if there is one."""
    if reference is None:
        return None
    graph = Graph(reference)
    twin, _ = first_conv(graph, graph.inputs[0])
    return conv_weight(graph, twin) if twin is not None else None
