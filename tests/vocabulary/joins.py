"""Kinds of branches that come together or part."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tests.vocabulary.writer import Maps, Writer


def relu_beside_signed() -> ModelProto:
    """Concat of a Relu's branch and a linear one, read by a Conv: the joint range has negatives, the Relu none."""
    write = Writer()
    x = write.concat(write.stem(), write.conv(write.image, 16, stride=2))
    return write.model(write.head(write.relu(write.conv(x, 32, stride=2))))


def dead_relu_beside_signed() -> ModelProto:
    """Concat of a Relu that never lets anything through, of values far below zero, and a linear branch."""
    write = Writer()
    dead = write.relu(write.conv(write.image, 16, stride=2, bias=np.full(16, -1e3, np.float32)))
    x = write.concat(dead, write.conv(write.image, 16, stride=2))
    return write.model(write.head(write.relu(write.conv(x, 32, stride=2))))


def relu_beside_wider_clip() -> ModelProto:
    """Concat of Clips with different bounds, and a dense block that reads all that was before."""
    write = Writer()
    x = write.clip(write.conv(write.image, 16, stride=2), 0, 1)
    x = write.concat(x, write.clip(write.conv(x, 8), 0, 6))
    x = write.concat(x, write.clip(write.conv(x, 8), -1, 1))
    return write.model(write.head(write.relu(write.conv(x, 16))))


def coordinates() -> ModelProto:
    """CoordConv: Concat of a Relu and a constant map of places; the batch is 1."""
    write = Writer(batch=1)
    x = write.stem()
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, x.side)] * 2))[None]
    x = Maps(write.node("Concat", x.name, write.floats(places), axis=1), 18, x.side)
    return write.model(write.head(write.relu(write.conv(x, 32, stride=2))))


def beside_nothing() -> ModelProto:
    """Concat with an empty tensor; the batch is 1."""
    write = Writer(batch=1)
    x = write.stem()
    nothing = write.floats(np.zeros((1, 0, x.side, x.side)))
    x = Maps(write.node("Concat", x.name, nothing, axis=1), 16, x.side)
    return write.model(write.head(write.relu(write.conv(x, 32, stride=2))))


def residuals() -> ModelProto:
    """ResNet: two basic blocks, the second with a Conv on the short way; Relu behind the Add."""
    write = Writer()
    x = write.stem()
    y = write.conv(write.relu(write.conv(x, 16)), 16)
    x = write.relu(write.both("Add", x, y))
    y = write.conv(write.relu(write.conv(x, 24, stride=2)), 24)
    x = write.relu(write.both("Add", y, write.conv(x, 24, kernel=1, stride=2)))
    return write.model(write.head(x))


def shuffled() -> ModelProto:
    """ShuffleNetV2: Split, depthwise Conv, Concat, shuffle with a batch from Shape and Gather, head by ReduceMean."""
    write = Writer(opset=13)
    x = write.stem()
    left, right = write.split("Split", x.name, write.integers([8, 8]), outputs=2, axis=1)
    y = write.relu(write.conv(Maps(right, 8, x.side), 8, kernel=1))
    y = write.relu(write.conv(write.conv(y, 8, group=8), 8, kernel=1))
    joint = write.concat(Maps(left, 8, x.side), y)
    batch = write.node("Gather", write.node("Shape", joint.name), write.integers(0), axis=0)
    batch = write.node("Unsqueeze", batch, write.integers([0]))
    shape = write.node("Concat", batch, write.integers([2, 8, x.side, x.side]), axis=0)
    halves = write.node("Transpose", write.node("Reshape", joint.name, shape), perm=[0, 2, 1, 3, 4])
    shape = write.node("Concat", batch, write.integers([16, x.side, x.side]), axis=0)
    x = write.relu(write.conv(Maps(write.node("Reshape", halves, shape), 16, x.side), 24))
    means = write.node("ReduceMean", x.name, axes=[2, 3], keepdims=0)
    return write.model(write.dense(means, 24))


def chosen_by_a_condition() -> ModelProto:
    """If, whose bodies read outer tensors, between two Convs, and again before the scores, as jit exports squeeze."""
    write = Writer()
    x = write.stem()
    x = Maps(_if(write, x.name, "Identity", "Neg", write.constant(np.array(True))), 16, x.side)
    x = write.relu(write.conv(x, 24))
    means = write.node("GlobalAveragePool", x.name)
    last = write.node("Gather", write.node("Shape", means), write.integers(3))
    squeezed = _if(write, means, "Flatten", "Identity", write.node("Equal", last, write.integers(1)))
    return write.model(write.dense(squeezed, 24))


def _if(write: Writer, outer: str, then: str, otherwise: str, condition: str) -> str:
    def body(op_type: str) -> object:
        name = write.name(f"body_{op_type}")
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(op_type, [outer], [name], name)], op_type, [], [value])

    return write.node("If", condition, then_branch=body(then), else_branch=body(otherwise))


def scaled_by_means() -> ModelProto:
    """Squeeze-and-excitation with HardSigmoid, as in MobileNetV3 and PP-LCNet."""
    write = Writer()
    x = write.stem()
    means = Maps(write.node("GlobalAveragePool", x.name), 16, 1)
    gate = write.conv(write.relu(write.conv(means, 4, kernel=1)), 16, kernel=1)
    gate = write.on(gate, "HardSigmoid", alpha=0.2, beta=0.5)
    x = write.both("Mul", x, gate)
    return write.model(write.head(write.relu(write.conv(x, 24))))


def scaled_by_a_number() -> ModelProto:
    """A mean over the whole map, a tensor without dimensions, that scales the map; the batch is 1."""
    write = Writer(batch=1)
    x = write.stem()
    number = write.node("ReduceMean", x.name, keepdims=0)
    x = Maps(write.node("Mul", x.name, number), 16, x.side)
    return write.model(write.head(write.relu(write.conv(x, 24))))


def carried_through_a_loop() -> ModelProto:
    """Loop, which takes a Relu's result, and whose body reads the same tensor from outside."""
    write = Writer()
    x = write.stem()
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go"]),
            helper.make_node("Mul", ["carried", write.floats(0.5)], ["half"]),
            helper.make_node("Add", ["half", x.name], ["next"]),
        ],
        "body",
        [
            value("turn", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("carried", TensorProto.FLOAT, None),
        ],
        [value("go", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
    )
    turns, true = write.integers(2), write.constant(np.array(True))
    x = Maps(write.node("Loop", turns, true, x.name, body=body), 16, x.side)
    return write.model(write.head(write.relu(write.conv(x, 24))))


def seen_inside_and_outside() -> ModelProto:
    """If, whose condition is computed and whose bodies read a Relu's result that a Conv outside reads too; batch 1."""
    write = Writer(batch=1)
    bright = write.node("Greater", write.node("ReduceMax", write.image.name, keepdims=0), write.floats(1e9))
    x = write.relu(write.conv(write.stem(), 16))
    inside = Maps(_if(write, x.name, "Identity", "Neg", bright), 16, x.side)
    joint = write.concat(write.conv(x, 8), write.conv(inside, 8))
    return write.model(write.head(write.relu(joint)))
