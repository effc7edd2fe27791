"""Output channels padded to what the fast path takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from quantize.rewrites.output_padding import OUTPUT_PADDING
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched


@st.composite
def chains(draw: st.DrawFn) -> tuple[ModelProto, Feeds]:
    """Draw Convs of few or odd outputs, read by one or two Convs of any kernel, padding and stride."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    x = build.quantized_input((draw(st.integers(1, 2)), 3, draw(st.integers(7, 10)), draw(st.integers(7, 10))))

    def conv(source: Any, channels: int) -> Any:
        kernel = draw(st.sampled_from([1, 3]))
        options: dict[str, Any] = {"per_channel": draw(st.booleans()), "bias": draw(st.booleans())}
        options |= {"relu": draw(st.booleans()), "pads": (kernel // 2,) * 4, "kernel": kernel}
        return build.conv(source, channels, **options)

    narrow = conv(x, draw(st.sampled_from([1, 5, 8, 10, 18])))
    left = conv(narrow, draw(st.sampled_from([7, 16])))
    y = build.concat(left, conv(narrow, 4)) if draw(st.booleans()) else left
    return build.model(build.conv(y, 4, kernel=1)), build.images()


@given(chains())
@settings(deadline=None, max_examples=40)
def test_padded_outputs_keep_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(OUTPUT_PADDING, source)
    assert names
    assert_declared(OUTPUT_PADDING, source, after, feeds)


@pytest.mark.parametrize("reader", ["depthwise", "max_pool", "output"])
def test_a_conv_that_something_else_reads_is_left_alone(reader: str) -> None:
    build = QLinearGraph()
    x = build.conv(build.quantized_input((1, 4, 7, 7)), 8)
    if reader == "depthwise":
        x = build.conv(x, 8, group=8)
    elif reader == "max_pool":
        x = build.max_pool(x)
    assert_untouched(OUTPUT_PADDING, build.model(x))


@pytest.mark.parametrize("other", ["depthwise", "max_pool", "output"])
def test_a_conv_that_a_conv_and_something_else_read_is_left_alone(other: str) -> None:
    build = QLinearGraph()
    narrow = build.conv(build.quantized_input((1, 4, 7, 7)), 8)
    read = build.conv(narrow, 16, kernel=1)
    if other == "output":
        assert_untouched(OUTPUT_PADDING, build.model(read, narrow))
    else:
        second = build.conv(narrow, 8, group=8) if other == "depthwise" else build.max_pool(narrow)
        assert_untouched(OUTPUT_PADDING, build.model(read, second))


def test_a_conv_that_fits_is_left_alone() -> None:
    build = QLinearGraph()
    x = build.conv(build.quantized_input((1, 4, 7, 7)), 20)
    assert_untouched(OUTPUT_PADDING, build.model(build.conv(x, 16, kernel=1)))
