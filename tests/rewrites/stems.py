"""First Convs on few channels, for tests of the rewrites that change them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from onnx import ModelProto

from tests.formats.small_graphs import QLinearGraph
from tests.rewrites.checks import Feeds


@st.composite
def stems(draw: st.DrawFn, *, strides: tuple[int, ...] = (2, 2, 2, 4)) -> tuple[ModelProto, Feeds]:
    """Draw a first Conv of any kernel, padding and size, followed by something."""
    build = QLinearGraph(seed=draw(st.integers(0, 2**16)))
    kernel, stride = draw(st.integers(1, 7)), draw(st.sampled_from(strides))
    sides = st.one_of(st.integers(8, 25), st.sampled_from([8, 16, 24, 32]))  # groups of 8 to 64
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


def one_conv(**options: Any) -> ModelProto:
    """Return a model of one Conv of 16 outputs on 3 channels."""
    build = QLinearGraph()
    channels = options.pop("inputs", 3)
    return build.model(build.conv(build.quantized_input((1, channels, 12, 12)), 16, **options))
