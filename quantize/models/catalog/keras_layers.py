"""A Keras model's layers as an ONNX graph, with the channels first inside and the input as Keras has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Layer = Mapping[str, Any]
Weights = Mapping[str, NDArray[np.float32]]
_OPSET = 13
_INPUT, _OUTPUT = "image", "probabilities"
_DENSE = ("kernel", "bias")


@dataclass(frozen=True)
class _Tensor:
    """A tensor's name, and the height and width of the image that it holds."""

    name: str
    size: tuple[int, int]


@dataclass
class _Graph:
    weights: Weights
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)

    def add(self, op_type: str, layer: str, inputs: Sequence[str], **attributes: object) -> str:
        output = f"{layer}/{op_type}:0"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=f"{layer}/{op_type}", **attributes))
        return output

    def constant(self, name: str, values: NDArray[np.float32]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name


def keras_model(layers: Sequence[Layer], weights: Weights) -> ModelProto:
    """Return the model of these layers; the same layers and weights give the same bytes.

    It takes float32 (N, H, W, C) and gives what the last layer does, at opset 13. Dropout is left out.

    Args:
        layers: In the order in which they compute, the input first, the result last.
        weights: By Keras's names, in its layout.

    Raises:
        ValueError: A layer, or a setting of one, is not known here.
    """
    height, width, channels = layers[0]["config"]["batch_input_shape"][1:]
    graph = _Graph(weights)
    first = graph.add("Transpose", layers[0]["name"], [_INPUT], perm=[0, 3, 1, 2])
    made = {layers[0]["name"]: _Tensor(first, (height, width))}
    for layer in layers[1:]:
        sources = [made[node[0]] for node in layer["inbound_nodes"][0]]
        made[layer["name"]] = _layer(graph, layer["class_name"], layer["name"], layer["config"], sources)
    final = made[layers[-1]["name"]].name
    for node in graph.nodes:
        node.output[:] = [_OUTPUT if name == final else name for name in node.output]
    classes = layers[-1]["config"]["units"]
    image = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["N", height, width, channels])
    scores = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["N", classes])
    whole = helper.make_graph(graph.nodes, "keras", [image], [scores], graph.initializers)
    opsets = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=7, producer_name="quantize")


def _layer(graph: _Graph, kind: str, name: str, config: Layer, sources: list[_Tensor]) -> _Tensor:
    source = sources[0]
    if kind in ("Conv2D", "DepthwiseConv2D"):
        return _convolution(graph, kind, name, config, source)
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        window, pads, size = _window(config["pool_size"], config, source.size)
        op_type = "MaxPool" if kind == "MaxPooling2D" else "AveragePool"
        return _Tensor(graph.add(op_type, name, [source.name], pads=pads, **window), size)
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = config["padding"]
        pads = numpy_helper.from_array(np.array([0, 0, top, left, 0, 0, bottom, right]), f"{name}/pads")
        graph.initializers.append(pads)
        size = (source.size[0] + top + bottom, source.size[1] + left + right)
        return _Tensor(graph.add("Pad", name, [source.name, pads.name]), size)
    if kind == "BatchNormalization":
        return _Tensor(_normalization(graph, name, config, source.name), source.size)
    if kind in ("ReLU", "Activation"):
        return _Tensor(_activation(graph, kind, name, config, source.name), source.size)
    if kind == "Add":
        return _Tensor(graph.add("Add", name, [each.name for each in sources]), source.size)
    if kind == "Concatenate":
        return _Tensor(graph.add("Concat", name, [each.name for each in sources], axis=1), source.size)
    if kind == "Flatten" and source.size == (1, 1):
        return _Tensor(graph.add("Flatten", name, [source.name], axis=1), source.size)
    if kind == "Dense":
        inputs = [source.name, *(graph.constant(f"{name}/{part}", graph.weights[f"{name}/{part}"]) for part in _DENSE)]
        return _Tensor(_activation(graph, "Activation", name, config, graph.add("Gemm", name, inputs)), source.size)
    if kind == "Dropout":
        return source
    raise ValueError(f"{name}: no way to write the Keras layer {kind} with an image of {source.size}")


def _convolution(graph: _Graph, kind: str, name: str, config: Layer, source: _Tensor) -> _Tensor:
    if config["activation"] != "linear" or config["dilation_rate"] != [1, 1] or config["use_bias"]:
        raise ValueError(f"{name}: no way to write a Keras convolution with bias, dilation or activation")
    depthwise = kind == "DepthwiseConv2D"
    kernel = graph.weights[f"{name}/{'depthwise_kernel' if depthwise else 'kernel'}"]
    laid = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)  # from (H, W, in, out)
    window, pads, size = _window(config["kernel_size"], config, source.size)
    groups = kernel.shape[2] if depthwise else 1
    inputs = [source.name, graph.constant(f"{name}/kernel", laid)]
    return _Tensor(graph.add("Conv", name, inputs, group=groups, pads=pads, **window), size)


def _window(
    kernel: list[int], config: Layer, size: tuple[int, int]
) -> tuple[dict[str, object], list[int], tuple[int, int]]:
    """Return (attributes, pads, size of the output); ``same`` puts the odd row of zeros behind, as TensorFlow does."""
    strides = config["strides"]
    if config["padding"] == "valid":
        begins, ends = [0, 0], [0, 0]
    else:
        wanted = [-(-side // step) for side, step in zip(size, strides, strict=True)]
        missing = [
            max(0, (many - 1) * step + window - side)
            for many, step, window, side in zip(wanted, strides, kernel, size, strict=True)
        ]
        begins, ends = [count // 2 for count in missing], [count - count // 2 for count in missing]
    height, width = (
        (side + before + behind - window) // step + 1
        for side, before, behind, window, step in zip(size, begins, ends, kernel, strides, strict=True)
    )
    return {"kernel_shape": kernel, "strides": strides}, begins + ends, (height, width)


def _normalization(graph: _Graph, name: str, config: Layer, source: str) -> str:
    known = {part: graph.weights[f"{name}/{part}"] for part in ("beta", "moving_mean", "moving_variance")}
    gamma = graph.weights[f"{name}/gamma"] if config["scale"] else np.ones_like(known["beta"])
    inputs = [graph.constant(f"{name}/{part}", values) for part, values in {"gamma": gamma, **known}.items()]
    return graph.add("BatchNormalization", name, [source, *inputs], epsilon=config["epsilon"])


def _activation(graph: _Graph, kind: str, name: str, config: Layer, source: str) -> str:
    if kind == "ReLU":
        if config["max_value"] is None:
            return graph.add("Relu", name, [source])
        bounds = {f"{name}/min": 0, f"{name}/max": config["max_value"]}
        graph.initializers += [numpy_helper.from_array(np.array(each, np.float32), key) for key, each in bounds.items()]
        return graph.add("Clip", name, [source, *bounds])
    if config["activation"] == "relu":
        return graph.add("Relu", name, [source])
    if config["activation"] == "softmax":
        return graph.add("Softmax", name, [source], axis=-1)
    if config["activation"] == "linear":
        return source
    raise ValueError(f"{name}: no way to write the Keras activation {config['activation']}")
