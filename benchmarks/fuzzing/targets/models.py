"""ONNX files: inspected, proven as for tuning, and prepared in this process where they came through."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from fuzzing.fields import changed_message
from fuzzing.reused_child import ReusedChild
from fuzzing.target import Target, fault, harm_of
from quantize.commands.inspection import inspected
from quantize.errors import QuantizeError
from quantize.models.prepare import clean_form
from quantize.opening.bounds import Bounds
from quantize.opening.proof import Request, prove_model
from quantize.processes.watch import Watch, limit_memory

_BOUNDS = Bounds()
_SECONDS = 20.0


def _model(body: list[Any], constants: dict[str, Any], last: str, opset: int = 13) -> ModelProto:
    weights = {"w": np.full((4, 3, 3, 3), 0.1, np.float32), **constants}
    nodes = [helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), *body]
    nodes += [helper.make_node("GlobalAveragePool", [last], ["g"]), helper.make_node("Flatten", ["g"], ["scores"])]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@cache
def _models() -> list[ModelProto]:
    node = helper.make_node
    plain = _model([node("Relu", ["c"], ["r"])], {}, "r")
    shapes = [
        node("Shape", ["c"], ["s"]),
        node("Slice", ["s", "zero", "two"], ["head"]),
        node("Concat", ["head", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["r"]),
        node("Clip", ["r", "low", "high"], ["l"]),
    ]
    constants = {"zero": np.array([0]), "two": np.array([2]), "rest": np.array([2, 8])}
    bounds = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    reshaped = _model(shapes, {**constants, **bounds}, "l")
    ones = np.ones(4, np.float32)
    norm = node("BatchNormalization", ["c", "one", "one", "one", "one"], ["n"])
    normed = _model([norm, node("Add", ["n", "c"], ["a"]), node("MaxPool", ["a"], ["m"], kernel_shape=[2, 2])], {}, "m")
    normed.graph.initializer.append(numpy_helper.from_array(ones, "one"))
    grid = ["scale", "point"]
    pair = [node("QuantizeLinear", ["c", *grid], ["q"]), node("DequantizeLinear", ["q", *grid], ["d"])]
    quantized = _model(pair, {"scale": np.array(0.1, np.float32), "point": np.array(128, np.uint8)}, "d")
    value = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("Relu", ["c"], ["t"])], "branch", [], [value])
    choice = node("If", ["yes"], ["r"], then_branch=branch, else_branch=branch)
    branched = _model([choice], {"yes": np.array(1, np.bool_)}, "r")
    called = _model([node("F", ["c"], ["r"], domain="f")], {}, "r")
    body = [node("Relu", ["a"], ["t"]), node("Sigmoid", ["t"], ["b"])]
    called.functions.append(helper.make_function("f", "F", ["a"], ["b"], body, [helper.make_opsetid("", 13)]))
    return [plain, reshaped, normed, quantized, branched, called]


def seeds() -> list[bytes]:
    """Return small models, and bytes that ask for changes of their fields."""
    draw = random.Random(0)
    files = [model.SerializeToString() for model in _models()]
    return files + [bytes([0x80 | draw.randrange(128)]) + draw.randbytes(draw.choice((8, 16, 32))) for _ in range(12)]


def file_of(content: bytes) -> bytes:
    """Return the ONNX file that is opened: the content, or a model after the changes that it asks for."""
    if content[:1] < b"\x80":
        return content
    models = _models()
    return changed_message(models[content[0] % len(models)], content[1:])


def examined(place: str) -> tuple[bool, str | None]:
    """Inspect and prove a model, in a child: return whether it is taken, and what was found."""
    path = Path(place)
    watch = Watch(lambda _: None)
    limit_memory(_BOUNDS.memory_for(path.stat().st_size))
    try:
        with suppress(QuantizeError):
            inspected((place, _BOUNDS), watch)
        prove_model(Request(place, _BOUNDS, prepares=True), watch)
    except QuantizeError as error:
        return False, harm_of(error)
    except MemoryError:
        return False, None
    except Exception as error:  # noqa: BLE001 - it is what fuzzing looks for
        return False, fault(error)
    return True, None


@cache
def _child() -> ReusedChild[tuple[bool, str | None]]:
    return ReusedChild(examined, seconds=_SECONDS)


def run(content: bytes, scratch: Path) -> str | None:
    """Open a file as a command does, and return what was found.

    Raises:
        QuantizeError: It is refused.
        Exception: A finding.
    """
    path = scratch / "model.onnx"
    path.write_bytes(file_of(content))
    answer = _child()(str(path))
    if answer is None or not answer[0]:
        return None if answer is None else answer[1]
    clean_form(path, opset=13)
    return None


TARGET = Target("models", "ONNX files: inspected, opened and prepared in a reused child", 30_000, seeds, run)
