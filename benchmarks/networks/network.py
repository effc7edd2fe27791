"""A network that is built node by node, each run at once on images, so that the next weights can suit what they get.

Trained weights keep the spread of what goes through a network; random ones do not, unless something sees to it. Here it
is batch statistics: every BatchNormalization gets the mean and variance that its input has on the images, and a layer
without one gets the scale that gives its output the spread wanted (Mishkin and Matas 2016, arXiv:1511.06422). Weights
have heavier tails than a normal distribution and channels of unlike size, as trained ones do: both matter to a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Array = NDArray[np.generic]
_TAILS = 6  # degrees of freedom of Student's t: excess kurtosis 3, that of a Laplacian
_COMMON = 0.5  # of a window's variance: common to all its places
_INPUT, _SCORES = "input", "scores"


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph, with its values on the images; the first axis is the image."""

    name: str
    values: Array

    @property
    def channels(self) -> int:
        """Size of axis 1."""
        return int(self.values.shape[1])


class Network:
    """Collects nodes and weights; see the module.

    Args:
        images: float32 (N, 3, H, W), preprocessed.
        opset: Version of the default operator set.
        seed: Of the weights.
    """

    def __init__(self, images: NDArray[np.float32], *, opset: int, seed: int) -> None:
        self.opset = opset
        self.input = Tensor(_INPUT, images)
        self._random = np.random.default_rng(seed)
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, TensorProto] = {}

    def weight(self, *shape: int, fan_in: int, axis: int = 0) -> NDArray[np.float32]:
        """Return random weights with a variance of about 2 / fan_in, whose channels on ``axis`` differ in size.

        Windows (axes 2 and 3) are smooth, a part of their variance is common to all their places: as trained ones
        do, they let a photograph through rather than noise.
        """
        drawn = self._random.standard_t(_TAILS, shape) * np.sqrt((_TAILS - 2) / _TAILS)
        if len(shape) == 4 and shape[2] * shape[3] > 1:
            common = self._random.standard_normal((*shape[:2], 1, 1))
            drawn = np.sqrt(1 - _COMMON) * drawn + np.sqrt(_COMMON) * common
        sizes = np.ones(len(shape), int)
        sizes[axis] = shape[axis]
        spread = np.exp(self._random.normal(0, 0.3, sizes))
        return np.asarray(drawn * spread * np.sqrt(2 / fan_in), np.float32)

    def gains(self, count: int, middle: float = 1.0, spread: float = 0.3) -> NDArray[np.float32]:
        """Return a normalization's factors, positive, float32 (count,)."""
        return np.asarray(middle * np.exp(self._random.normal(0, spread, count)), np.float32)

    def shifts(self, count: int, spread: float = 0.3) -> NDArray[np.float32]:
        """Return a normalization's or a layer's addends, float32 (count,)."""
        return np.asarray(self._random.normal(0, spread, count), np.float32)

    def add(self, op_type: str, name: str, *inputs: Tensor | Array, **attributes: object) -> Tensor:
        """Add a node with one output, run it, and return that.

        Args:
            op_type: The operator.
            name: The module's path as PyTorch has it, such as ``layer1.0.conv1``; arrays become its weights.
            *inputs: What it takes.
            **attributes: Its attributes.
        """
        return self.add_several(op_type, name, *inputs, outputs=1, **attributes)[0]

    def add_several(
        self, op_type: str, name: str, *inputs: Tensor | Array, outputs: int, **attributes: object
    ) -> list[Tensor]:
        """Add a node with several outputs; see ``add``."""
        path = self._free("/".join(["", *filter(None, name.split(".")), op_type]))
        named = [each if isinstance(each, Tensor) else self._kept(name, path, each) for each in inputs]
        made = [f"{path}_output_{number}" for number in range(outputs)]
        node = helper.make_node(op_type, [each.name for each in named], made, name=path, **attributes)
        self._nodes.append(node)
        return [Tensor(*each) for each in zip(made, run(node, named, self.opset), strict=True)]

    def tried(self, op_type: str, *inputs: Tensor | Array, **attributes: object) -> NDArray[np.float32]:
        """Return what a node would give that is not added."""
        named = [each if isinstance(each, Tensor) else Tensor(f"w{at}", each) for at, each in enumerate(inputs)]
        node = helper.make_node(op_type, [each.name for each in named], ["y"], **attributes)
        return np.asarray(run(node, named, self.opset)[0], np.float32)

    def model(self, scores: Tensor) -> ModelProto:
        """Return the model with these scores, float32 (N, classes)."""
        final = self._nodes[-1]
        assert list(final.output) == [scores.name]
        final.output[0] = _SCORES
        size = self.input.values.shape[1:]
        inputs = [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["batch", *size])]
        outputs = [helper.make_tensor_value_info(_SCORES, TensorProto.FLOAT, ["batch", scores.channels])]
        graph = helper.make_graph(self._nodes, "made", inputs, outputs, list(self._weights.values()))
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="quantize made weights")

    def _free(self, path: str) -> str:
        taken = {node.name for node in self._nodes}
        return next(each for each in (path, *(f"{path}_{number}" for number in range(1, 99))) if each not in taken)

    def _kept(self, name: str, path: str, values: Array) -> Tensor:
        kinds = ("weight", "bias", "running_mean", "running_var") if values.ndim and values.dtype == np.float32 else ()
        plain = next((f"{name}.{kind}" for kind in kinds if f"{name}.{kind}" not in self._weights), f"{path}_constant")
        place = next(
            each for each in (plain, *(f"{plain}_{number}" for number in range(1, 99))) if each not in self._weights
        )
        self._weights[place] = numpy_helper.from_array(values, place)
        return Tensor(place, values)


def run(node: NodeProto, inputs: Sequence[Tensor], opset: int) -> list[Array]:
    """Return the outputs of one node on what its inputs hold."""
    values = {each.name: each.values for each in inputs}
    taken = [_info(name, array) for name, array in values.items()]
    given = [helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = helper.make_graph([node], "one", taken, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, values))


def _info(name: str, array: Array) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
