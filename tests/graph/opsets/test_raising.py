from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

from quantize.errors import ModelError
from quantize.graph.opsets.adapters import ANY_OPERATOR
from quantize.graph.opsets.raising import ADAPTERS, OLDEST_OPSET, raise_opset
from quantize.models.session import open_session

Array = NDArray[Any]
# Their definitions gained names, outputs or defaults that change nothing for a model made before.
UNCHANGED = {("BatchNormalization", 14), ("Clip", 6), ("Dropout", 7)}


def model_of(
    nodes: Sequence[NodeProto], opset: int, image: Sequence[int], constants: dict[str, Array] | None = None
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "operators",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def run(model: ModelProto, x: Array) -> Array:
    (y,) = open_session(model.SerializeToString()).run(["y"], {"x": x})
    return np.asarray(y)


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def op(op_type: str, inputs: str = "x", output: str = "y", **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, inputs.split(), [output], **attributes)


def breaking_changes() -> list[tuple[str, int]]:
    """Return operators and versions whose schema lost or moved an attribute or input, so that nodes must change."""
    history: dict[str, list[Any]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)

    def default(attribute: Any) -> object:
        value = attribute.default_value
        return value.SerializeToString() if value.type else None

    changes = []
    for name, versions in history.items():
        versions.sort(key=lambda schema: schema.since_version)
        for old, new in itertools.pairwise(versions):
            kept = new.attributes
            moved = any(
                key not in kept
                or kept[key].type != was.type
                or default(kept[key]) != default(was)
                or (kept[key].required and not was.required)
                for key, was in old.attributes.items()
            )
            inputs = [value.name for value in old.inputs] != [value.name for value in new.inputs][: len(old.inputs)]
            outputs = [value.name for value in old.outputs] != [value.name for value in new.outputs][: len(old.outputs)]
            if new.since_version > OLDEST_OPSET and (
                moved or inputs or outputs or new.deprecated or old.min_input < new.min_input
            ):
                changes.append((name, new.since_version))
    return changes


@pytest.mark.parametrize(("operator", "version"), breaking_changes())
def test_every_breaking_change_of_the_standard_has_its_adapter(operator: str, version: int) -> None:
    adapters = ADAPTERS.get(version, {})

    assert operator in adapters or ANY_OPERATOR in adapters or (operator, version) in UNCHANGED


def test_the_model_that_is_raised_is_not_changed() -> None:
    model = model_of([op("Softmax")], 12, [2, 3])
    before = model.SerializeToString()

    raise_opset(model, 13)

    assert model.SerializeToString() == before


@settings(deadline=None, max_examples=30)
@given(
    shape=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    axis=st.integers(-2, 1),
    operator=st.sampled_from(["Softmax", "LogSoftmax", "Hardmax"]),
)
def test_softmax_computes_the_same_at_every_axis(shape: list[int], axis: int, operator: str) -> None:
    model = model_of([op(operator, axis=axis)], 11, shape)
    x = noise(*shape)

    np.testing.assert_allclose(run(raise_opset(model, 13), x), run(model, x), atol=1e-6)


@pytest.mark.parametrize("shape", [[2, 5], [2, 5, 1, 1], [2, 1, 1, 5]])
def test_softmax_over_one_wide_dimension_stays_one_node(shape: list[int]) -> None:
    raised = raise_opset(model_of([op("Softmax")], 12, shape), 13)

    assert [node.op_type for node in raised.graph.node] == ["Softmax"]


def test_softmax_of_a_shape_that_is_not_known_is_refused_with_its_node() -> None:
    body = [op("Mystery", "x", "m", domain="com.example"), helper.make_node("Softmax", ["m"], ["y"], name="head")]
    model = model_of(body, 12, [2, 5])
    model.opset_import.append(helper.make_opsetid("com.example", 1))

    with pytest.raises(ModelError, match=r"classifier\.onnx, node 'head'"):
        raise_opset(model, 13, where="classifier.onnx")


CASES: dict[str, tuple[int, int, list[int], list[NodeProto], dict[str, Array]]] = {
    "BatchNormalization": (
        7,
        15,
        [2, 3, 4, 4],
        [op("BatchNormalization", "x s b m v")],
        {k: noise(3) ** 2 for k in "sbmv"},
    ),
    "Clip with both bounds": (7, 13, [2, 3], [op("Clip", min=-0.5, max=0.5)], {}),
    "Clip with one bound": (7, 13, [2, 3], [op("Clip", min=0.0)], {}),
    "Dropout": (7, 13, [2, 3], [op("Dropout", ratio=0.3)], {}),
    "Pad": (8, 13, [1, 2, 3, 3], [op("Pad", pads=[0, 0, 1, 2, 0, 0, 1, 0], value=2.0)], {}),
    "Slice": (9, 13, [2, 6], [op("Slice", starts=[1], ends=[4], axes=[1])], {}),
    "TopK": (9, 13, [2, 6], [helper.make_node("TopK", ["x"], ["y", "i"], k=2, axis=1)], {}),
    "Upsample": (8, 13, [1, 2, 3, 3], [op("Upsample", scales=[1.0, 1.0, 2.0, 2.0])], {}),
    "Upsample linearly": (7, 13, [1, 2, 3, 3], [op("Upsample", scales=[1.0, 1.0, 2.0, 2.0], mode="linear")], {}),
    "Resize": (10, 13, [1, 2, 3, 3], [op("Resize", "x s")], {"s": np.array([1, 1, 2, 3], np.float32)}),
    "Resize to less": (10, 13, [1, 2, 7, 7], [op("Resize", "x s")], {"s": np.array([1, 1, 0.6, 0.5], np.float32)}),
    "ReduceSum": (11, 13, [2, 3, 4], [op("ReduceSum", axes=[1], keepdims=0)], {}),
    "ReduceMean": (11, 18, [2, 3, 4], [op("ReduceMean", axes=[2], keepdims=1)], {}),
    "ReduceMax of everything": (12, 18, [2, 3, 4], [op("ReduceMax")], {}),
    "Squeeze and Unsqueeze": (
        11,
        13,
        [2, 1, 3],
        [op("Squeeze", "x", "z", axes=[1]), op("Unsqueeze", "z", axes=[0])],
        {},
    ),
    "Split": (11, 18, [2, 6], [helper.make_node("Split", ["x"], ["y", "z"], axis=1, split=[2, 4])], {}),
    "Split evenly": (11, 18, [2, 6], [helper.make_node("Split", ["x"], ["y", "z"], axis=1)], {}),
    "Scatter": (
        10,
        13,
        [2, 3],
        [op("Scatter", "x i u", axis=1)],
        {"i": np.array([[1], [2]], np.int64), "u": noise(2, 1)},
    ),
    "GridSample": (
        16,
        20,
        [1, 2, 4, 4],
        [op("GridSample", "x g", mode="bilinear")],
        {"g": np.clip(noise(1, 3, 3, 2), -1, 1)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operator_computes_the_same_after_its_definition_changed(case: str) -> None:
    old, new, shape, nodes, constants = CASES[case]
    model = model_of(nodes, old, shape, constants)
    raised = raise_opset(model, new)

    assert [entry.version for entry in raised.opset_import] == [new]
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(raised, check_type=True))
    np.testing.assert_allclose(run(raised, noise(*shape)), run(model, noise(*shape)), rtol=1e-6, atol=1e-6)


def raised_from_three(nodes: Sequence[NodeProto], x: Array, constants: dict[str, Array] | None = None) -> Array:
    return run(raise_opset(model_of(nodes, OLDEST_OPSET, x.shape, constants), 13), x)


def test_broadcasting_along_an_axis_becomes_numpys() -> None:
    x, bias = noise(2, 3, 4, 4), noise(3)
    y = raised_from_three([op("Add", "x c", broadcast=1, axis=1)], x, {"c": bias})

    np.testing.assert_array_equal(y, x + bias.reshape(3, 1, 1))


def test_broadcasting_a_computed_tensor_along_an_axis_becomes_numpys() -> None:
    x = noise(2, 3, 4, 4)
    means = helper.make_node("ReduceMean", ["x"], ["c"], axes=[0, 2, 3], keepdims=0)
    y = raised_from_three([means, op("Mul", "x c", broadcast=1, axis=1)], x)

    np.testing.assert_allclose(y, x * x.mean(axis=(0, 2, 3)).reshape(3, 1, 1), rtol=1e-5)


def test_broadcasting_at_the_end_is_numpys_already() -> None:
    x, bias = noise(2, 3), noise(3)

    np.testing.assert_array_equal(raised_from_three([op("Add", "x c", broadcast=1)], x, {"c": bias}), x + bias)


def test_in_place_and_test_mode_attributes_go() -> None:
    x, ones = noise(2, 3, 4, 4), np.ones(3, np.float32)
    nodes = [
        op("BatchNormalization", "x s z z s", "n", is_test=1, epsilon=0.0, spatial=1, consumed_inputs=[0, 0, 0, 1, 1]),
        op("Relu", "n", "r", consumed_inputs=[0]),
        op("Dropout", "r", "y", is_test=1, ratio=0.5),
    ]

    np.testing.assert_allclose(raised_from_three(nodes, x, {"s": ones, "z": ones * 0}), np.maximum(x, 0), rtol=1e-6)


def test_the_shape_of_a_reshape_becomes_an_input() -> None:
    x = noise(2, 3, 4)

    assert raised_from_three([op("Reshape", shape=[0, -1])], x).shape == (2, 12)


def test_a_concat_without_an_axis_joins_channels() -> None:
    x = noise(2, 3, 4, 4)

    assert raised_from_three([op("Concat", "x x")], x).shape == (2, 6, 4, 4)


def test_a_cast_to_a_named_type_becomes_one_to_a_number() -> None:
    x = noise(2, 3) * 3
    y = raised_from_three([op("Cast", "x", "whole", to="INT32"), op("Cast", "whole", to="FLOAT")], x)

    np.testing.assert_array_equal(y, np.trunc(x))


def test_slopes_of_a_prelu_stay_one_a_channel() -> None:
    x, slope = noise(2, 3, 4, 4), np.array([0.1, 0.2, 0.3], np.float32)
    y = raised_from_three([op("PRelu", "x s")], x, {"s": slope})

    np.testing.assert_allclose(y, np.where(x < 0, x * slope.reshape(3, 1, 1), x), rtol=1e-6)


def test_an_upsample_of_two_scales_becomes_a_resize() -> None:
    x = noise(1, 2, 3, 3)
    y = raised_from_three([op("Upsample", height_scale=2.0, width_scale=3.0, mode="nearest")], x)

    np.testing.assert_array_equal(y, x.repeat(2, axis=2).repeat(3, axis=3))


@pytest.mark.parametrize("opset", [11, 12, 13])
def test_a_resize_by_scales_is_one_that_onnxruntime_reads_at_every_opset(opset: int) -> None:
    x, scales = noise(1, 2, 3, 3), np.array([1, 1, 2, 2], np.float32)
    model = model_of([op("Upsample", "x scales", mode="nearest")], 9, x.shape, {"scales": scales})

    raised = raise_opset(model, opset)

    assert [node.op_type for node in raised.graph.node] == ["Resize"]
    np.testing.assert_array_equal(run(raised, x), x.repeat(2, axis=2).repeat(2, axis=3))


def test_the_constants_of_a_selu_stay_those_of_its_time() -> None:
    x = noise(2, 3)
    expected = 1.0507 * np.where(x > 0, x, 1.6732 * (np.exp(x) - 1))

    np.testing.assert_allclose(raised_from_three([op("Selu", consumed_inputs=[0])], x), expected, rtol=1e-5)


def test_a_gemm_keeps_its_broadcast_bias() -> None:
    x, weights, bias = noise(2, 3), noise(3, 5), noise(5)
    y = raised_from_three([op("Gemm", "x w b", broadcast=1)], x, {"w": weights, "b": bias})

    np.testing.assert_allclose(y, x @ weights + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "node",
    [
        op("Tile", "x x x"),
        op("BatchNormalization", "x x x x x", spatial=0),
        helper.make_node("BatchNormalization", ["x"] * 5, ["y", "m", "v"]),
        op("Resize", "x x"),
        op("Cast", to="HALF A FLOAT"),
        op("LSTM", "x x x"),
    ],
)
def test_what_cannot_be_followed_is_refused(node: NodeProto) -> None:
    opset = 10 if node.op_type == "Resize" else OLDEST_OPSET
    with pytest.raises(ModelError, match=node.op_type):
        raise_opset(model_of([node], opset, [2, 3, 4, 4]), 13)


def test_a_branch_of_an_if_is_raised_too() -> None:
    def branch(name: str, low: float) -> Any:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])
        return helper.make_graph([helper.make_node("Clip", ["x"], [name], min=low)], name, [], [value])

    nodes = [op("If", "flag", then_branch=branch("then", 0.0), else_branch=branch("else", -0.1))]
    model = model_of(nodes, 10, [2, 3], {"flag": np.array(False)})

    np.testing.assert_array_equal(run(raise_opset(model, 13), noise(2, 3)), np.maximum(noise(2, 3), np.float32(-0.1)))


def test_an_unknown_opset_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="999"):
        raise_opset(model_of([op("Relu")], 12, [1]), 999)
