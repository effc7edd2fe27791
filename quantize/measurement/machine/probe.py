"""Single-layer models to measure, in each arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper, numpy_helper

from quantize.measurement.machine.layer_shapes import ConvShape, Shape

Arithmetic = Literal["fp32", "u8s8", "u8s8 7 bits", "u8u8", "s8s8"]
"""``u8s8``: uint8 activations, int8 weights, and so on. ``7 bits``: weights from -64 to 63."""

ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)
INTEGER: tuple[Arithmetic, ...] = ARITHMETICS[1:]


def activation_type(arithmetic: Arithmetic) -> np.dtype[np.generic]:
    """Return the type of the data."""
    return np.dtype({"fp32": np.float32, "s8s8": np.int8}.get(arithmetic, np.uint8))


def weight_type(arithmetic: Arithmetic) -> np.dtype[np.generic]:
    """Return the type of the weights."""
    return np.dtype({"fp32": np.float32, "u8u8": np.uint8}.get(arithmetic, np.int8))


def largest_weight(arithmetic: Arithmetic) -> int:
    """Return the largest step that a weight is away from zero in each direction."""
    return 63 if arithmetic == "u8s8 7 bits" else 127


_MICROSOFT = "com.microsoft"
_OPSET = 13
Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Probe:
    """One layer in one arithmetic.

    Attributes:
        shape: The layer's shape.
        arithmetic: How it multiplies.
        block: Pixels a side that a SpaceToDepth before it takes together, as the rewrite of first layers does; 1: none.
            The shape is then the rewritten Conv's.
    """

    shape: Shape
    arithmetic: Arithmetic
    block: int = 1


def probe_graph(probe: Probe) -> tuple[ModelProto, Values]:
    """Return the graph of a layer with drawn weights, and data for its input ``x``.

    Integer convolutions take and give channels last, as onnxruntime lays them out inside a model, so that no
    transposition is timed with them; fp32 ones are reordered by separate nodes.
    """
    generator = np.random.default_rng(0)
    if isinstance(probe.shape, ConvShape):
        return _conv(probe, probe.shape, generator)
    shape, arithmetic = probe.shape, probe.arithmetic
    weights = drawn_weights((shape.inputs, shape.outputs), arithmetic, generator)
    data = _data((shape.rows, shape.inputs), arithmetic, generator)
    if arithmetic == "fp32":
        node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="layer")
        return integer_or_float_graph([node], data, weights, np.zeros(shape.outputs, np.float32)), data
    return qgemm(data, weights, np.zeros(shape.outputs, np.int32)), data


def qgemm(data: Values, weights: Values, bias: npt.NDArray[np.int32], scale: float = 50.0) -> ModelProto:
    """Return the graph of an integer Gemm; data and weights have scale 1, the result ``scale``."""
    names = ["x", "one", "x_zero", "w", "one", "w_zero", "b", "y_scale", "x_zero"]
    node = helper.make_node("QGemm", names, ["y"], name="layer", domain=_MICROSOFT)
    return integer_or_float_graph([node], data, weights, bias, scale)


def qconv(data: Values, weights: Values, bias: npt.NDArray[np.int32], scale: float, **attributes: Any) -> ModelProto:
    """Return the graph of an integer Conv with channels last; data and weights have scale 1, the result ``scale``."""
    return integer_or_float_graph([_qconv_node("x", attributes)], data, weights, bias, scale)


def drawn_weights(shape: tuple[int, ...], arithmetic: Arithmetic, generator: np.random.Generator) -> Values:
    """Return random weights that fill their range."""
    most = largest_weight(arithmetic)
    steps = generator.integers(-most, most + 1, shape)
    if arithmetic == "fp32":
        return (steps / 1000).astype(np.float32)
    return (steps + (128 if arithmetic == "u8u8" else 0)).astype(weight_type(arithmetic))


def integer_or_float_graph(
    nodes: list[NodeProto], data: Values, weights: Values, bias: Values, scale: float = 50.0
) -> ModelProto:
    """Return a graph from ``x`` to ``y`` of the types of the data, with the constants that the nodes may name."""
    constants: dict[str, Values] = {"w": weights, "b": bias}
    if data.dtype != np.float32:
        constants |= {
            "one": np.asarray(np.float32(1)),
            "x_zero": np.asarray(_zero(data.dtype)),
            "w_zero": np.asarray(_zero(weights.dtype)),
            "y_scale": np.asarray(np.float32(scale)),
        }
    kind = helper.np_dtype_to_tensor_dtype(data.dtype)
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", kind, list(data.shape))],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _conv(probe: Probe, shape: ConvShape, generator: np.random.Generator) -> tuple[ModelProto, Values]:
    arithmetic, block = probe.arithmetic, probe.block
    weights = drawn_weights((shape.outputs, shape.inputs // shape.group, *shape.kernel), arithmetic, generator)
    attributes = {
        "kernel_shape": list(shape.kernel),
        "strides": list(shape.strides),
        "pads": list(shape.pads),
        "dilations": list(shape.dilations),
        "group": shape.group,
    }
    if arithmetic == "fp32":
        data = _data((1, shape.inputs, *shape.size), arithmetic, generator)
        node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="layer", **attributes)
        return integer_or_float_graph([node], data, weights, np.zeros(shape.outputs, np.float32)), data
    bias = np.zeros(shape.outputs, np.int32)
    if block == 1:
        data = _data((1, *shape.size, shape.inputs), arithmetic, generator)
        return qconv(data, weights, bias, 50.0, **attributes), data
    pixels = (1, shape.inputs // block**2, shape.size[0] * block, shape.size[1] * block)
    data = _data(pixels, arithmetic, generator)
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["cells"], name="cells", blocksize=block),
        helper.make_node("Transpose", ["cells"], ["last"], name="last", perm=[0, 2, 3, 1]),
        _qconv_node("last", attributes),
    ]
    return integer_or_float_graph(nodes, data, weights, bias), data


def _qconv_node(source: str, attributes: dict[str, Any]) -> NodeProto:
    names = [source, "one", "x_zero", "w", "one", "w_zero", "y_scale", "x_zero", "b"]
    return helper.make_node("QLinearConv", names, ["y"], name="layer", domain=_MICROSOFT, channels_last=1, **attributes)


def _data(shape: tuple[int, ...], arithmetic: Arithmetic, generator: np.random.Generator) -> Values:
    kind = activation_type(arithmetic)
    if kind == np.float32:
        return generator.random(shape, dtype=np.float32)
    limits = np.iinfo(kind)  # type: ignore[type-var]
    return generator.integers(limits.min, limits.max + 1, shape).astype(kind)


def _zero(kind: np.dtype[Any]) -> np.generic:
    zero: np.generic = kind.type(128 if kind == np.uint8 else 0)
    return zero
