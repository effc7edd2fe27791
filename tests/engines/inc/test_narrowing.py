from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import helper

from quantize.engines.inc.narrowing import could_saturate

_WHOLE = 127
_WEIGHTS = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-2, 2, width=32)
)


@given(_WEIGHTS, st.sampled_from([0, 1, None]))
def test_weights_that_keep_all_bits_keep_every_pair_within_16_bits(weights: np.ndarray, axis: int | None) -> None:
    if could_saturate(weights, axis, []):
        return
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    for row in rows.astype(np.float64):
        largest = np.abs(row).max()
        codes = np.rint(row / (largest or 1.0) * _WHOLE)
        pairs = codes[:, np.newaxis] + codes
        np.fill_diagonal(pairs, 0)
        assert np.abs(pairs).max() * 255 <= 32767 + 255  # a code more for another rounding


def test_two_large_weights_of_one_channel_are_too_much_and_two_of_different_channels_are_not() -> None:
    weights = np.array([[1.0, 0.9, 0.0], [0.0, 1.0, -1.0]], np.float32)
    assert could_saturate(weights, 0, [])
    assert not could_saturate(weights[1:], 0, [])
    assert could_saturate(weights, 1, [])


@pytest.mark.parametrize(("group", "saturates"), [(4, False), (1, True)])
def test_a_depthwise_kernel_adds_in_32_bits(group: int, saturates: bool) -> None:
    weights = np.ones((4, 1, 3, 3), np.float32)
    conv = helper.make_node("Conv", ["x", "w"], ["y"], group=group)
    assert could_saturate(weights, 0, [conv]) == saturates
    other = helper.make_node("MatMul", ["x", "w"], ["z"])
    assert could_saturate(weights, 0, [conv, other])
