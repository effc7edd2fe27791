"""MobileNetV3-Large (Howard et al. 2019, arXiv:1905.02244), laid out as torchvision's; normalizations are folded."""

from __future__ import annotations

from networks.layers import Activation, activated, conv, linear
from networks.network import Network, Tensor
from networks.squeeze import squeezed

_BLOCKS: tuple[tuple[int, int, int, bool, Activation, int], ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hardswish", 2),
    (3, 200, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 480, 112, True, "hardswish", 1),
    (3, 672, 112, True, "hardswish", 1),
    (5, 672, 160, True, "hardswish", 2),
    (5, 960, 160, True, "hardswish", 1),
    (5, 960, 160, True, "hardswish", 1),
)
"""Kernel, channels inside, channels out, squeeze-and-excitation, activation, stride."""


def mobilenet_v3(net: Network) -> Tensor:
    """Add MobileNetV3-Large."""
    x = conv(net, net.input, "features.0.0", 16, 3, norm="folded", stride=2)
    x = activated(net, x, "features.0.2", "hardswish")
    for number, block in enumerate(_BLOCKS, start=1):
        x = _block(net, x, f"features.{number}.block", *block)
    x = activated(net, conv(net, x, "features.16.0", 960, 1, norm="folded"), "features.16.2", "hardswish")
    flat = net.add("Flatten", "", net.add("GlobalAveragePool", "avgpool", x), axis=1)
    y = activated(net, linear(net, flat, "classifier.0", 1280, spread=1.0), "classifier.1", "hardswish")
    return linear(net, y, "classifier.3", 1000)


def _block(
    net: Network,
    x: Tensor,
    name: str,
    kernel: int,
    inside: int,
    out: int,
    excited: bool,  # noqa: FBT001 - a column of the table
    kind: Activation,
    stride: int,
) -> Tensor:
    y, at = x, 0
    if inside != x.channels:
        y, at = activated(net, conv(net, y, f"{name}.0.0", inside, 1, norm="folded"), f"{name}.0.2", kind), 1
    y = conv(net, y, f"{name}.{at}.0", inside, kernel, norm="folded", stride=stride, groups=inside)
    y = activated(net, y, f"{name}.{at}.2", kind)
    if excited:
        at += 1
        y = squeezed(net, y, f"{name}.{at}", _eighths(inside // 4), kind="relu", gate="HardSigmoid")
    past = stride == 1 and x.channels == out
    y = conv(net, y, f"{name}.{at + 1}.0", out, 1, norm="folded", middle=0.6 if past else 1.0)
    return net.add("Add", name.removesuffix(".block"), y, x) if past else y


def _eighths(channels: int) -> int:
    """Return the next multiple of 8 that takes away less than a tenth."""
    near = max(8, (channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8
