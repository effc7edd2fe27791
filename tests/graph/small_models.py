"""Small float models for tests of changes to graphs, and a function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.graph.view import Graph
from quantize.models.session import open_session

Array = NDArray[np.float32]
CHANNELS = 4


def model_of(
    nodes: Sequence[NodeProto], constants: dict[str, NDArray[Any]], outputs: Sequence[str] = ("y",)
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "folding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 6, 6])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def run(model: ModelProto) -> list[Array]:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
    return [np.asarray(y) for y in open_session(model.SerializeToString(), optimization="none").run(None, {"x": x})]


def after(transform: Callable[[Graph], None], model: ModelProto) -> ModelProto:
    graph = Graph(model)
    transform(graph)
    return graph.model()


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def noise(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def conv(source: str, result: str, *, bias: bool = True, **attributes: Any) -> NodeProto:
    return helper.make_node("Conv", [source, "w", "b"] if bias else [source, "w"], [result], **attributes)


WEIGHTS: dict[str, NDArray[Any]] = {"w": noise(1, CHANNELS, 3, 3, 3), "b": noise(2, CHANNELS)}
