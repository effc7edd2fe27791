"""SpaceToDepth in front of a Conv as moves of rows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from onnx import ModelProto, numpy_helper

from quantize.rewrites import Rewrite
from quantize.rewrites.channel_padding import CHANNEL_PADDING
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH
from quantize.rewrites.stem_by_rows import STEM_BY_ROWS
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types
from tests.rewrites.stems import shared_stems, stems


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(stems())
@settings(deadline=None, max_examples=40)
def test_moving_rows_instead_keeps_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    _, folded = apply(SPACE_TO_DEPTH, source)
    names, after = apply(STEM_BY_ROWS, folded)
    assert len(names) == 1
    assert "SpaceToDepth" not in integer_types(after)
    assert_declared(STEM_BY_ROWS, folded, after, feeds)


@pytest.fixture(scope="module", params=[[SPACE_TO_DEPTH, STEM_BY_ROWS], [CHANNEL_PADDING]], ids=["rows", "channels"])
def chain(request: pytest.FixtureRequest) -> list[Rewrite]:
    """Return rewrites of a stem that this onnxruntime has the kernels for."""
    rewrites: list[Rewrite] = request.param
    if SPACE_TO_DEPTH in rewrites:
        request.getfixturevalue("eight_bit_space_to_depth")
    return rewrites


@given(case=shared_stems())
@settings(deadline=None, max_examples=30)
def test_tensors_that_are_also_read_elsewhere_stay_as_they_are(
    chain: list[Rewrite], case: tuple[ModelProto, Feeds]
) -> None:
    source, feeds = case
    now = source
    for rewrite in chain:
        _, after = apply(rewrite, now)
        assert_declared(rewrite, source, after, feeds)
        now = after


def test_space_to_depth_that_something_else_reads_is_left_alone_by_rows() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 3, 8, 8))
    folded = build.moved("SpaceToDepth", x, (1, 12, 4, 4), blocksize=2)
    conv = build.conv(folded, 12, kernel=1)
    assert_untouched(STEM_BY_ROWS, build.model(build.binary("Add", folded, conv)))


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@pytest.mark.parametrize(("side", "group"), [(32, 64), (16, 16), (12, 8)])
def test_as_many_pixels_as_may_be_are_moved_as_one(side: int, group: int) -> None:
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((1, 3, side, side)), 16, stride=2))
    _, folded = apply(SPACE_TO_DEPTH, source)
    _, after = apply(STEM_BY_ROWS, folded)
    targets = [numpy_helper.to_array(value).tolist() for value in after.graph.initializer]
    pixels = side // 2 * side
    assert [0, 6 * pixels // group, group] in targets
    assert [0, 6 * group, pixels // group] in targets
    assert_declared(STEM_BY_ROWS, source, after, build.images())


def test_a_symbolic_batch_is_no_obstacle() -> None:
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((2, 3, 11, 16)), 16, stride=2))
    for value in (source.graph.input[0], source.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    _, folded = apply(SPACE_TO_DEPTH, source)
    _, after = apply(STEM_BY_ROWS, folded)
    assert_declared(STEM_BY_ROWS, source, after, build.images())
