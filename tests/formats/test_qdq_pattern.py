"""Relu and Clip in front of a quantized tensor."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper

from quantize.formats import to_qdq, to_qlinear
from tests.formats.small_graphs import QLinearGraph, run


def _clipped(zero_point: int, scale: float, kind: str, bounds: tuple[float, float]) -> tuple[ModelProto, QLinearGraph]:
    """Return a QDQ model whose Conv is followed by a Relu or Clip before it is quantized."""
    build = QLinearGraph(seed=3)
    made = build.conv(build.quantized_input((1, 4, 6, 6)), 8)
    qdq = to_qdq(build.model(made))
    conv = next(node for node in qdq.graph.node if node.op_type == "Conv")
    quantize = next(node for node in qdq.graph.node if conv.output[0] in node.input)
    names = [build.constant(np.float32(bound), "bound") for bound in bounds]
    inputs = [conv.output[0]] if kind == "Relu" else [conv.output[0], *names]
    qdq.graph.node.append(helper.make_node(kind, inputs, ["clipped"], name="clip"))
    by = [build.constant(np.float32(scale), "s"), build.constant(np.uint8(zero_point), "z")]
    quantize.input[:] = ["clipped", *by]
    dequantize = next(node for node in qdq.graph.node if quantize.output[0] in node.input)
    dequantize.input[1:] = by
    qdq.graph.initializer.extend(build.initializers[-4:])
    nodes = [node for node in qdq.graph.node if node.name != "clip"]
    clip = next(node for node in qdq.graph.node if node.name == "clip")
    nodes.insert(nodes.index(quantize), clip)
    del qdq.graph.node[:]
    qdq.graph.node.extend(nodes)
    return qdq, build


def _types(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@given(
    st.sampled_from([0, 1, 100, 255]),
    st.sampled_from([0.01, 0.03]),
    st.sampled_from(["Relu", "Clip"]),
    st.sampled_from([(0.0, 6.0), (-0.3, 0.4), (0.0, 0.2)]),
)
@settings(deadline=None, max_examples=40)
def test_a_clipped_conv_becomes_integers_with_the_same_result(
    zero_point: int, scale: float, kind: str, bounds: tuple[float, float]
) -> None:
    qdq, build = _clipped(zero_point, scale, kind, bounds)
    qlinear = to_qlinear(qdq)
    assert "QLinearConv" in _types(qlinear)
    assert "Conv" not in _types(qlinear)
    images = build.images()
    steps = np.abs(run(qlinear, images)[0] - run(qdq, images, optimize=False)[0]) / scale
    assert steps.max() < 1.01
    assert np.mean(steps > 0.01) < 0.02


def test_a_relu_that_the_zero_point_implies_is_gone() -> None:
    qdq, _ = _clipped(0, 0.02, "Relu", (0.0, 6.0))
    assert "Clip" not in _types(to_qlinear(qdq))


def test_a_relu_that_the_zero_point_does_not_imply_is_a_clip_of_integers() -> None:
    qdq, build = _clipped(7, 0.02, "Relu", (0.0, 6.0))
    qlinear = to_qlinear(qdq)
    assert "Clip" in _types(qlinear)
    assert run(qlinear, build.images())[0].min() == 0.0


def test_a_clip_beyond_the_range_is_gone_and_one_inside_stays() -> None:
    beyond, _ = _clipped(0, 6.0 / 255, "Clip", (0.0, 6.0))
    inside, _ = _clipped(0, 8.0 / 255, "Clip", (0.0, 6.0))
    assert "Clip" not in _types(to_qlinear(beyond))
    assert "Clip" in _types(to_qlinear(inside))


def test_a_clip_of_integers_comes_back_to_qdq_with_the_same_scores() -> None:
    qdq, build = _clipped(7, 0.02, "Relu", (0.0, 6.0))
    qlinear = to_qlinear(qdq)
    again = to_qlinear(to_qdq(qlinear))
    np.testing.assert_array_equal(run(again, build.images())[0], run(qlinear, build.images())[0])
