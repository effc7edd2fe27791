"""What the first Conv's kernel covers as channels of one pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from quantize.formats import canonical
from quantize.graph.nodes import attribute, is_op
from quantize.graph.view import Graph
from quantize.rewrites.registry import apply_rewrites
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH
from quantize.rewrites.stem_by_columns import STEM_BY_COLUMNS, Axis
from quantize.rewrites.stem_by_rows import STEM_BY_ROWS
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types
from tests.rewrites.stems import shared_stems, stems


def by_rows(source: ModelProto) -> ModelProto:
    """Return a model whose first Conv is behind moves of rows."""
    for rewrite in (SPACE_TO_DEPTH, STEM_BY_ROWS):
        _, source = apply(rewrite, source)
    return source


def small_stem(height: int = 16, width: int = 16, **options: Any) -> tuple[ModelProto, Feeds]:
    """Return a model of one Conv of 3x3 at stride 2 on three channels."""
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((2, 3, height, width)), 16, stride=2, **options))
    return source, build.images()


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(stems(strides=(2,)))
@settings(deadline=None, max_examples=40)
def test_columns_instead_of_rows_keep_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    rows = by_rows(source)
    _, after = apply(STEM_BY_COLUMNS, rows)
    assert_declared(STEM_BY_COLUMNS, source, after, feeds)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 1), (1, 0, 0, 1), (2, 2, 0, 0)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 24), (15, 18)])
def test_a_kernel_of_nine_pixels_becomes_one_of_one(pads: tuple[int, ...], height: int, width: int) -> None:
    source, feeds = small_stem(height, width, pads=pads)
    names, after = apply(STEM_BY_COLUMNS, by_rows(source))
    assert len(names) == 1
    conv = next(node for node in after.graph.node if is_op(node, "Conv"))
    assert attribute(conv, "kernel_shape") == [1, 1]
    shapes = [numpy_helper.to_array(value).shape for value in after.graph.initializer]
    assert (16, 28, 1, 1) in shapes  # 27 products, filled up to channels in fours
    assert "Pad" in integer_types(after) or not any(pads)
    assert integer_types(after).count("Gather") == 2
    assert_declared(STEM_BY_COLUMNS, source, after, feeds)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize(
    ("pool", "outputs"),
    [
        ({"kernel_shape": [3, 3], "strides": [2, 2]}, 16),
        ({"kernel_shape": [2, 2], "strides": [2, 2]}, 15),  # the last output of 16 would be read
        ({"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}, 15),
        ({"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, 15),
    ],
)
def test_a_conv_has_outputs_in_eights_where_its_pool_reads_no_further(pool: dict[str, Any], outputs: int) -> None:
    build = QLinearGraph()
    conv = build.conv(build.quantized_input((1, 3, 32, 32)), 16, stride=2, relu=True)  # 15 outputs each way
    pooled = 8 if "ceil_mode" in pool else 7
    source = build.model(build.moved("MaxPool", conv, (1, 16, *[pooled] * 2), **pool))
    names, after = apply(STEM_BY_COLUMNS, by_rows(source))
    assert len(names) == 1
    made = next(node for node in after.graph.node if is_op(node, "Conv"))
    assert Graph(after).shapes()[made.output[0]][2:] == (outputs, outputs)
    assert_declared(STEM_BY_COLUMNS, source, after, build.images())


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_a_symbolic_batch_is_no_obstacle() -> None:
    source, feeds = small_stem(pads=(1, 1, 1, 1))
    for value in (source.graph.input[0], source.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    names, after = apply(STEM_BY_COLUMNS, by_rows(source))
    assert len(names) == 1
    assert_declared(STEM_BY_COLUMNS, source, after, feeds)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize("options", [{"kernel": 7}, {"kernel": 5}, {"kernel": 2}, {"kernel": 1}])
def test_a_kernel_that_is_large_or_covers_each_pixel_once_is_left_alone(options: dict[str, int]) -> None:
    source, _ = small_stem(32, 32, **options)
    assert_untouched(STEM_BY_COLUMNS, by_rows(source))


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(case=shared_stems())
@settings(deadline=None, max_examples=15)
def test_moves_that_something_else_reads_too_are_left_alone(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    rows = by_rows(source)
    names, after = apply(STEM_BY_COLUMNS, rows)
    graph = Graph(rows)
    for name in names:
        conv = next(node for node in graph.nodes if node.name == name)
        assert graph.sole_consumer(conv.input[0]) is conv
    assert_declared(STEM_BY_COLUMNS, source, after, feeds)


def test_a_conv_without_moves_of_rows_is_left_alone() -> None:
    source, _ = small_stem()
    assert_untouched(STEM_BY_COLUMNS, source)


@pytest.mark.usefixtures("eight_bit_space_to_depth")
def test_a_name_alone_finds_nothing_and_all_three_find_it() -> None:
    source, _ = small_stem()
    alone = apply_rewrites(source, ["stem-by-columns"])
    assert "Gather" not in integer_types(alone)
    every = apply_rewrites(source, ["space-to-depth", "stem-by-rows", "stem-by-columns"])
    assert integer_types(canonical(every)).count("Gather") == 2


@given(st.integers(3, 20), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=50)
def test_an_axis_knows_each_pixel_under_the_kernel(size: int, kernel: int, stride: int, before: int) -> None:
    outputs = (size + 2 * before - kernel) // stride + 1
    if outputs < 1:
        return
    axis = Axis.of(size=size, outputs=outputs, kernel=kernel, stride=stride, before=before)
    padded = np.pad(np.arange(size), before, constant_values=size)
    for output in range(outputs):
        assert axis.pixels[output].tolist() == padded[output * stride :][:kernel].tolist()
    assert axis.pads == bool((axis.pixels == size).any())
