"""Operators that move values, on integers in QLinear, requantized as the parameters before and after require."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import quantized_format, to_qdq, to_qlinear
from tests.formats.small_graphs import QLinearGraph, run

IMAGE = {"x": np.random.default_rng(0).normal(0, 2, (1, 4, 6, 6)).astype(np.float32)}


def _moved(op_type: str, *inputs: str, scale_after: float = 0.05, **attributes: object) -> ModelProto:
    """Return DequantizeLinear, one moving node, QuantizeLinear and DequantizeLinear, as QDQ files have them."""
    arrays = {
        "s": np.float32(0.05), "s2": np.float32(scale_after), "z": np.uint8(120),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 0]), "value": np.float32(0.5), "odd": np.float32(0.513),
        "shape": np.array([1, 4, 36]), "axes": np.array([0]),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="d"),
        helper.make_node(op_type, ["d", *inputs], ["m"], name="node", **attributes),
        helper.make_node("QuantizeLinear", ["m", "s2", "z"], ["q2"], name="q2"),
        helper.make_node("DequantizeLinear", ["q2", "s2", "z"], ["y"], name="d2"),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 6])]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "moved", given, made, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def _types(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


CASES = [
    ("MaxPool", (), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("SpaceToDepth", (), {"blocksize": 2}),
    ("Transpose", (), {"perm": [0, 2, 3, 1]}),
    ("Reshape", ("shape",), {}),
    ("Flatten", (), {"axis": 2}),
    ("Unsqueeze", ("axes",), {}),
    ("Pad", ("pads", "value"), {}),
    ("Pad", ("pads",), {"mode": "reflect"}),
]


@pytest.mark.parametrize(("op_type", "inputs", "attributes"), CASES)
@pytest.mark.parametrize("scale_after", [0.05, 0.08])
def test_a_moving_node_works_on_integers_with_the_same_result(
    op_type: str,
    inputs: tuple[str, ...],
    attributes: dict[str, object],
    scale_after: float,
    request: pytest.FixtureRequest,
) -> None:
    if op_type == "SpaceToDepth":
        request.getfixturevalue("eight_bit_space_to_depth")
    source = _moved(op_type, *inputs, scale_after=scale_after, **attributes)
    qlinear = to_qlinear(source)
    position = _types(qlinear).index(op_type)
    assert _types(qlinear)[position - 1] == "QuantizeLinear"
    assert _types(qlinear).count("QuantizeLinear") == (1 if scale_after == 0.05 else 2)
    expected = run(source, IMAGE, optimize=False)[0]
    for model in (qlinear, to_qdq(source), to_qdq(qlinear), to_qlinear(to_qdq(qlinear))):
        # Optimized, onnxruntime drops the second of two roundings: only equal scales can be compared then.
        np.testing.assert_array_equal(run(model, IMAGE, optimize=scale_after == 0.05)[0], expected)


def test_an_identity_is_gone() -> None:
    source = _moved("Identity")
    assert _types(to_qlinear(source)) == ["QuantizeLinear", "DequantizeLinear", "QuantizeLinear", "DequantizeLinear"]
    np.testing.assert_array_equal(run(to_qlinear(source), IMAGE)[0], run(source, IMAGE)[0])


def test_a_pad_with_a_value_between_two_integers_stays_float() -> None:
    source = _moved("Pad", "pads", "odd")
    qlinear = to_qlinear(source)
    assert _types(qlinear).index("DequantizeLinear") < _types(qlinear).index("Pad")
    np.testing.assert_array_equal(run(qlinear, IMAGE)[0], run(source, IMAGE, optimize=False)[0])


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_space_to_depth_is_on_integers_in_qdq_as_well() -> None:
    qdq = to_qdq(_moved("SpaceToDepth", blocksize=2))
    assert _types(qdq) == ["QuantizeLinear", "SpaceToDepth", "DequantizeLinear"]


def test_a_concat_of_equal_scales_is_a_copy_of_bytes_in_both_formats() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 4, 6, 6))
    left = build.conv(x, 4, kernel=1)
    right = build.conv(x, 8, kernel=1, made=left)
    right = type(right)(build.name("q"), right.shape, left.scale, left.zero_point)
    build.nodes[-1].output[0] = right.name
    source = build.model(build.conv(build.concat(left, right, like=left), 3, kernel=1))
    expected = run(source, build.images())[0]
    for model in (to_qdq(source), to_qlinear(source)):
        concat = next(node for node in model.graph.node if node.op_type == "Concat")
        makers = {name: node.op_type for node in model.graph.node for name in node.output}
        assert {makers[name] for name in concat.input} <= {"QuantizeLinear", "QLinearConv"}
        np.testing.assert_array_equal(run(model, build.images())[0], expected)


def test_formats_are_told_apart() -> None:
    build = QLinearGraph()
    qlinear = build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 8))
    qdq = to_qdq(qlinear)
    assert quantized_format(qlinear) == "qlinear"
    assert quantized_format(qdq) == "qdq"
    mixed = type(qlinear)()
    mixed.CopyFrom(qdq)
    mixed.graph.node.extend(node for node in qlinear.graph.node if node.op_type == "QLinearConv")
    assert quantized_format(mixed) == "mixed"
    del qdq.graph.node[:]
    assert quantized_format(qdq) == "float"
