from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.exposure import expose
from quantize.models.session import open_session


def test_what_follows_from_other_tensors_is_not_read(small_model):
    exposure = expose(small_model)
    assert exposure.observed == ("c0", "c1", "c2", "pool", "gap", "scores")
    assert {derived.tensor: derived.sources for derived in exposure.derivations} == {
        "r0": ("c0",),
        "r1": ("c1",),
        "r2": ("c2",),
        "cat": ("r1", "r2"),
        "flat": ("gap",),
    }
    clip = next(derived for derived in exposure.derivations if derived.tensor == "r0")
    assert (clip.lowest, clip.highest) == (0.0, 1.5)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_the_exposed_model_is_valid_at_every_opset(opset):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], "relu"), helper.make_node("Sigmoid", ["y"], ["z"], "sigmoid")],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, 2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    exposure = expose(model)
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(exposure.model), full_check=True)
    assert exposure.observed == ("z",)
    assert [name for name, _ in exposure.means] == ["z", "y"]


def test_every_output_of_a_node_is_read_even_where_no_shape_is_known():
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Squeeze" if name == "then" else "Identity", ["a"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name in ("then", "else")
    }
    graph = helper.make_graph(
        [
            helper.make_node("Split", ["x"], ["a", "b"], "split", axis=2),
            helper.make_node("If", ["yes"], ["c"], "if", **branches),
        ],
        "tiny",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2, 2]),
            helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)],
    )
    exposure = expose(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert exposure.observed == ("a", "b", "c")
    assert [name for name, _ in exposure.means] == ["a", "b"]


def test_a_clip_with_a_computed_bound_is_read():
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], "most", keepdims=0),
            helper.make_node("Clip", ["x", "", "most"], ["y"], "clip"),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 2, 2])],
    )
    exposure = expose(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert exposure.observed == ("most", "y")


def test_the_channels_of_what_a_matmul_takes_are_last():
    weights = numpy_helper.from_array(np.ones((5, 2), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"], "relu"), helper.make_node("MatMul", ["r", "w"], ["y"], "product")],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 2])],
        [weights],
    )
    exposure = expose(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7))
    x = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    names = [output for _, output in exposure.means]
    values = open_session(exposure.model.SerializeToString()).run(names, {"x": x})
    sizes = {tensor: value.size for (tensor, _), value in zip(exposure.means, values, strict=True)}
    assert sizes == {"r": 5, "y": 3}


@pytest.mark.parametrize("sides", [(5,), (5, 4), (5, 4, 3)], ids=["1d", "2d", "3d"])
def test_means_of_what_a_convolution_reads_are_those_of_axis_one(sides):
    weights = numpy_helper.from_array(np.ones((2, 3, *[1] * len(sides)), np.float32), "w")
    nodes = [helper.make_node("Relu", ["x"], ["r"], "relu"), helper.make_node("Conv", ["r", "w"], ["y"], "conv")]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *sides])]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, *sides])]
    x = np.random.default_rng(0).random((1, 3, *sides), np.float32)
    for more in ([], [helper.make_node("MatMul", ["r", "square"], ["z"], "product")]):
        square = numpy_helper.from_array(np.ones((sides[-1], 2), np.float32), "square")
        graph = helper.make_graph([*nodes, *more], "tiny", given, results, [weights, square])
        exposure = expose(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7))
        outputs = dict(exposure.means)
        assert ("r" in outputs) == (not more)  # a product takes the last axis for that of the channels
        if not more:
            (means,) = open_session(exposure.model.SerializeToString()).run([outputs["r"]], {"x": x})
            assert means.reshape(-1) == pytest.approx(x.reshape(3, -1).mean(axis=1), rel=1e-5)
