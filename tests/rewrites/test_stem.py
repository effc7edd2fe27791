"""The first Conv on few channels: space-to-depth, by rows, and channel padding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from quantize.rewrites import Rewrite
from quantize.rewrites.channel_padding import CHANNEL_PADDING
from quantize.rewrites.space_to_depth import SPACE_TO_DEPTH, Fold
from quantize.rewrites.stem_by_rows import STEM_BY_ROWS
from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types


@st.composite
def stems(draw: st.DrawFn, *, strides: tuple[int, ...] = (2, 2, 2, 4)) -> tuple[ModelProto, Feeds]:
    """Draw a first Conv of any kernel, padding and size, with something behind it."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    kernel, stride = draw(st.integers(1, 7)), draw(st.sampled_from(strides))
    sides = st.one_of(st.integers(8, 25), st.sampled_from([8, 16, 24]))  # rows of 8 are moved another way
    height, width = draw(sides), draw(sides)
    x = build.quantized_input((draw(st.integers(1, 2)), draw(st.integers(1, 4)), height, width))
    options: dict[str, Any] = {"per_channel": draw(st.booleans()), "bias": draw(st.booleans())}
    options["weight_zero"] = draw(st.sampled_from([0, 0, 5, -128]))
    if draw(st.booleans()):
        options["pads"] = tuple(draw(st.integers(0, kernel - 1)) for _ in range(4))
    elif kernel >= stride and draw(st.booleans()):
        options["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))
    channels = draw(st.sampled_from([1, 5, 16, 32]))
    y = build.conv(x, channels, kernel=kernel, stride=stride, relu=draw(st.booleans()), **options)
    return build.model(y), build.images()


@pytest.mark.usefixtures("eight_bit_space_to_depth")
@given(stems())
@settings(deadline=None, max_examples=60)
def test_space_to_depth_keeps_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(SPACE_TO_DEPTH, source)
    assert len(names) == 1
    assert "SpaceToDepth" in integer_types(after)
    assert_declared(SPACE_TO_DEPTH, source, after, feeds)


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


@given(stems(strides=(1, 1, 2)))
@settings(deadline=None, max_examples=40)
def test_padded_channels_keep_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    names, after = apply(CHANNEL_PADDING, source)
    if names:
        assert "Pad" in integer_types(after)
    assert_declared(CHANNEL_PADDING, source, after, feeds)


@st.composite
def shared_stems(draw: st.DrawFn) -> tuple[ModelProto, Feeds]:
    """Draw an input that several Convs read, some with one weight, and a pool that reads it too."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    x = build.quantized_input((1, 3, draw(st.integers(9, 17)), draw(st.integers(9, 17))))
    made, first, channels = [], None, draw(st.sampled_from([5, 16]))
    for _ in range(draw(st.integers(2, 3))):
        like = first if draw(st.booleans()) else None
        made.append(build.conv(x, channels, stride=draw(st.sampled_from([1, 2, 4])), weight_like=like))
        first = build.nodes[-1]
    if draw(st.booleans()):
        made.append(build.max_pool(x))
    return build.model(*made), build.images()


@pytest.fixture(scope="module", params=[[SPACE_TO_DEPTH, STEM_BY_ROWS], [CHANNEL_PADDING]], ids=["rows", "channels"])
def chain(request: pytest.FixtureRequest) -> list[Rewrite]:
    """Return rewrites of a stem that this onnxruntime has the kernels for."""
    found: list[Rewrite] = request.param
    if SPACE_TO_DEPTH in found:
        request.getfixturevalue("eight_bit_space_to_depth")
    return found


@given(case=shared_stems())
@settings(deadline=None, max_examples=30)
def test_tensors_that_are_read_elsewhere_too_stay_as_they_are(
    chain: list[Rewrite], case: tuple[ModelProto, Feeds]
) -> None:
    source, feeds = case
    now = source
    for one in chain:
        _, after = apply(one, now)
        assert_declared(one, source, after, feeds)
        now = after


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
            found = (output - fold.before) * stride + fold.places[position]
            assert found == pixel
            if 0 <= pixel < size:
                assert pixel < fold.length


def _conv(**options: Any) -> ModelProto:
    build = QLinearGraph()
    channels = options.pop("inputs", 3)
    return build.model(build.conv(build.quantized_input((1, channels, 12, 12)), 16, **options))


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
    assert_untouched(SPACE_TO_DEPTH, _conv(**options))


def test_channels_in_fours_and_few_outputs_are_left_alone_by_channel_padding() -> None:
    assert_untouched(CHANNEL_PADDING, _conv(inputs=4))
    assert_untouched(CHANNEL_PADDING, _conv(inputs=16, group=16))
    build = QLinearGraph()
    assert_untouched(CHANNEL_PADDING, build.model(build.conv(build.quantized_input((1, 3, 12, 12)), 10)))


def test_space_to_depth_that_something_else_reads_is_left_alone_by_rows() -> None:
    build = QLinearGraph()
    x = build.quantized_input((1, 3, 8, 8))
    folded = build.moved("SpaceToDepth", x, (1, 12, 4, 4), blocksize=2)
    conv = build.conv(folded, 12, kernel=1)
    assert_untouched(STEM_BY_ROWS, build.model(build.binary("Add", folded, conv)))


def test_an_automatic_padding_that_would_cut_is_left_alone() -> None:
    assert_untouched(SPACE_TO_DEPTH, _conv(kernel=1, stride=4, auto_pad="SAME_UPPER"))


def test_a_symbolic_size_is_left_alone() -> None:
    source = _conv(stride=2)
    source.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    assert_untouched(SPACE_TO_DEPTH, source)


def test_a_symbolic_batch_is_no_obstacle() -> None:
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((2, 3, 11, 16)), 16, stride=2))
    for value in (source.graph.input[0], source.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    _, folded = apply(SPACE_TO_DEPTH, source)
    _, after = apply(STEM_BY_ROWS, folded)
    assert_declared(STEM_BY_ROWS, source, after, build.images())
