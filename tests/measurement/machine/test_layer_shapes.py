"""Shapes of products and their kinds."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.layer_shapes import ConvShape, GemmShape, conv_kind


@pytest.mark.parametrize(
    ("channels", "kernel", "group", "kind"),
    [
        (3, (3, 3), 1, "first"),
        (1, (5, 5), 1, "first"),
        (64, (1, 1), 1, "pointwise"),
        (4, (3, 3), 1, "spatial"),
        (1, (3, 3), 32, "depthwise"),
        (8, (3, 3), 4, "spatial"),
        (8, (1, 1), 4, "pointwise"),
    ],
)
def test_a_convolutions_kind_follows_from_channels_kernel_and_groups(channels, kernel, group, kind):
    assert conv_kind(channels, kernel, group) == kind


def test_a_product_moves_its_weights_data_and_result():
    assert GemmShape(2, 3, 5).fp32_bytes == 4 * (15 + 6 + 10)
    assert ConvShape(4, 8, (3, 3), (5, 5)).fp32_bytes == 4 * (8 * 4 * 9 + 4 * 25 + 8 * 9)
