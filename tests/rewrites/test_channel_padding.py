"""Input channels of a Conv padded to a multiple of 4."""

from __future__ import annotations

from hypothesis import given, settings
from onnx import ModelProto

from quantize.rewrites.channel_padding import CHANNEL_PADDING
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types
from tests.rewrites.stems import one_conv, stems


@given(stems(strides=(1, 1, 2)))
@settings(deadline=None, max_examples=40)
def test_padded_channels_keep_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(CHANNEL_PADDING, source)
    if names:
        assert "Pad" in integer_types(after)
    assert_declared(CHANNEL_PADDING, source, after, feeds)


def test_channels_in_fours_and_few_outputs_are_left_alone_by_channel_padding() -> None:
    assert_untouched(CHANNEL_PADDING, one_conv(inputs=4))
    assert_untouched(CHANNEL_PADDING, one_conv(inputs=16, group=16))
    build = QLinearGraph()
    assert_untouched(CHANNEL_PADDING, build.model(build.conv(build.quantized_input((1, 3, 12, 12)), 10)))
