"""Models that do harm to the process that opens them, and what they are made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

IMAGE = (1, 3, 8, 8)


def model(
    before: tuple[NodeProto, ...] = (), constants: dict[str, Any] | None = None, image: tuple[int, ...] = IMAGE
) -> ModelProto:
    """Return Conv 3 -> 4 of ``image`` (or of ``x2``, if ``before`` makes it), GlobalAveragePool, Flatten."""
    weights = {"w": np.ones((4, 3, 3, 3), np.float32), **(constants or {})}
    given = "x2" if any("x2" in node.output for node in before) else "image"
    nodes = [
        *before,
        helper.make_node("Conv", [given, "w"], ["features"], name="conv", strides=[1, 1]),
        helper.make_node("Relu", ["features"], ["positive"], name="relu"),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [image[0], 4])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def zero_stride() -> ModelProto:
    """Return a model on which onnx divides by zero."""
    made = model()
    made.graph.node[0].attribute[0].ints[:] = [0, 0]
    return made


def memory_bomb() -> ModelProto:
    """Return a model that makes 40 GB of ones when it is opened."""
    before = (
        helper.make_node("ConstantOfShape", ["sizes"], ["ones"]),
        helper.make_node("ReduceMax", ["ones"], ["one"], keepdims=0),
        helper.make_node("Add", ["image", "one"], ["x2"]),
    )
    return model(before, {"sizes": np.array([100_000, 100_000])})


def endless_loop() -> ModelProto:
    """Return a model whose loop takes 2^62 turns when it is opened."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_o"]), helper.make_node("Identity", ["v"], ["v_o"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("on_o", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_o", TensorProto.FLOAT, []),
        ],
    )
    before = (
        helper.make_node("Loop", ["turns", "true", "zero"], ["looped"], body=body),
        helper.make_node("Add", ["image", "looped"], ["x2"]),
    )
    constants = {"turns": np.array(2**62), "true": np.array(True), "zero": np.array(0, np.float32)}
    return model(before, constants)


def calling_functions(count: int, *, in_circle: bool = False) -> ModelProto:
    """Return a model with ``count`` functions, each of which calls the next one twice."""
    made = model()
    for number in range(count):
        last = number == count - 1
        name, domain = ("Relu", "") if last and not in_circle else (f"F{(number + 1) % count}", "f")
        calls = [
            helper.make_node(name, ["a"], ["t"], domain=domain),
            helper.make_node(name, ["t"], ["b"], domain=domain),
        ]
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("f", 1)]
        made.functions.append(helper.make_function("f", f"F{number}", ["a"], ["b"], calls, opsets))
    made.opset_import.append(helper.make_opsetid("f", 1))
    made.graph.node[1].op_type, made.graph.node[1].domain = "F0", "f"
    return made


def many_images() -> ModelProto:
    """Return a model that insists on 2^31 images at once."""
    return model(image=(1 << 31, 3, 8, 8))


def segment() -> ModelProto:
    """Return a model with weights that say they are a segment of larger ones."""
    made = model()
    made.graph.initializer[0].segment.end = 108
    return made


KINDS: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "zero stride": (zero_stride, "it ended by signal SIGFPE"),
    "memory": (memory_bomb, "its memory was used up"),
    "loop": (endless_loop, "it took longer than 2 s"),
    "function that calls itself": (lambda: calling_functions(1, in_circle=True), "'F0' calls itself"),
    "functions in a circle": (lambda: calling_functions(3, in_circle=True), "calls itself, through others"),
    "functions that double": (lambda: calling_functions(30), "nodes once its functions are written out"),
    "segment": (segment, "is a segment of a larger tensor"),
    "images": (many_images, "1,649,267,441,664 bytes"),
}
"""Name to what makes a model, and what the error says was found."""
