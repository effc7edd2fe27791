"""The first Conv of a stride as SpaceToDepth and a Conv without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH, Fold
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types
from tests.rewrites.stems import one_conv, stems


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(stems())
@settings(deadline=None, max_examples=60)
def test_space_to_depth_keeps_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(SPACE_TO_DEPTH, source)
    assert len(names) == 1
    assert "SpaceToDepth" in integer_types(after)
    assert_declared(SPACE_TO_DEPTH, source, after, feeds)


@given(st.integers(5, 40), st.integers(1, 7), st.sampled_from([2, 4]), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=200)
def test_a_folded_axis_reads_the_pixels_that_the_kernel_reads(
    size: int, kernel: int, stride: int, before: int, after: int
) -> None:
    fold = Fold.of(size=size, kernel=kernel, stride=stride, pad_before=before, pad_after=after)
    outputs = (size + before + after - kernel) // stride + 1
    cells = fold.length // stride
    assert cells + fold.before + fold.after - fold.cells + 1 == outputs
    for output in range(outputs):
        for position in range(kernel):
            pixel = output * stride + position - before
            place = (output - fold.before) * stride + fold.places[position]
            assert place == pixel
            if 0 <= pixel < size:
                assert pixel < fold.length


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 1},
        {"stride": 3},
        {"stride": 2, "inputs": 5},
        {"stride": 2, "group": 4, "inputs": 4},
        {"stride": 2, "dilations": [2, 2], "made": None},
    ],
)
def test_another_conv_is_left_alone_by_space_to_depth(options: dict[str, Any]) -> None:
    options.pop("made", None)
    if "dilations" in options:
        build = QLinearGraph()
        made = build.conv(build.quantized_input((1, 3, 13, 13)), 16, kernel=1, stride=2, dilations=[2, 2])
        assert_untouched(SPACE_TO_DEPTH, build.model(made))
        return
    assert_untouched(SPACE_TO_DEPTH, one_conv(**options))


def test_an_automatic_padding_that_would_cut_is_left_alone() -> None:
    assert_untouched(SPACE_TO_DEPTH, one_conv(kernel=1, stride=4, auto_pad="SAME_UPPER"))


def test_a_symbolic_size_is_left_alone() -> None:
    source = one_conv(stride=2)
    source.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    assert_untouched(SPACE_TO_DEPTH, source)
