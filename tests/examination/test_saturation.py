from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.examination.cpu import with_rounded_weights
from quantize.examination.saturation import saturation


def _conv(weights: NDArray[np.float32], **attributes: object) -> ModelProto:
    channels = weights.shape[1] * int(str(attributes.get("group", 1)))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"], name="conv", **attributes)],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, 6, 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def test_two_largest_weights_on_bright_channels_saturate() -> None:
    bright = np.full((1, 4, 6, 6), 1.0, np.float32)
    (layer,) = saturation(_conv(np.ones((3, 4, 1, 1), np.float32)), bright)
    assert (layer.node, layer.share) == ("conv", 1.0)  # 255 * 127 * 2 is above 32,767
    dark = bright * 0.4
    dark[0, :, 0, 0] = 1.0  # the range stays; nearly all values are below half of it
    (layer,) = saturation(_conv(np.ones((3, 4, 1, 1), np.float32)), dark)
    assert layer.share < 0.2


def test_opposite_signs_and_small_weights_do_not_saturate() -> None:
    bright = np.full((2, 4, 6, 6), 1.0, np.float32)
    opposite = np.tile(np.array([1, -1], np.float32), 2).reshape(1, 4, 1, 1)
    assert saturation(_conv(opposite), bright)[0].saturated == 0
    small = np.array([1, 0, 0.5, 0.4], np.float32).reshape(1, 4, 1, 1)
    assert saturation(_conv(small), bright)[0].saturated == 0


def test_neighbours_are_channels_at_one_place_of_the_kernel() -> None:
    image = np.zeros((1, 2, 6, 6), np.float32)
    image[:, 0] = 1.0
    both = np.ones((1, 2, 3, 3), np.float32)
    assert saturation(_conv(both, pads=[1, 1, 1, 1]), image)[0].saturated == 0  # the other channel is dark
    assert saturation(_conv(both, pads=[1, 1, 1, 1]), np.ones_like(image))[0].saturated > 0


def test_depthwise_layers_are_left_out() -> None:
    assert saturation(_conv(np.ones((4, 1, 3, 3), np.float32), group=4), np.ones((1, 1, 6, 6), np.float32)) == ()


def test_neighbours_are_of_one_group() -> None:
    image = np.zeros((1, 4, 6, 6), np.float32)
    image[:, :2] = 1.0
    (layer,) = saturation(_conv(np.ones((2, 2, 1, 1), np.float32), group=2), image)
    assert layer.share == 0.5  # the second group's channels are dark


@pytest.mark.parametrize(("bits", "levels"), [(8, 127), (7, 63)])
def test_rounded_weights_lie_on_the_grid_of_their_channel(bits: int, levels: int) -> None:
    weights = np.random.default_rng(0).standard_normal((5, 4, 3, 3)).astype(np.float32)
    rounded = numpy_helper.to_array(with_rounded_weights(_conv(weights), bits).graph.initializer[0])
    step = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / levels
    assert np.abs(rounded - weights).max() <= step.max() / 2 + 1e-6
    np.testing.assert_allclose(rounded / step, np.rint(rounded / step), atol=1e-4)
