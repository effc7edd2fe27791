"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), laid out as torchvision's; BatchNormalizations are nodes."""

from __future__ import annotations

from networks.layers import Activation, activated, conv, linear
from networks.network import Network, Tensor

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Factor of expansion, channels, blocks, stride of the first."""


def mobilenet_v2(net: Network) -> Tensor:
    """Add MobileNetV2 of width 1."""
    x = _layer(net, net.input, "features.0", 32, 3, stride=2)
    number = 0
    for factor, channels, blocks, stride in _STAGES:
        for block in range(blocks):
            number += 1
            x = _block(net, x, f"features.{number}.conv", factor, channels, stride if block == 0 else 1)
    x = _layer(net, x, f"features.{number + 1}", 1280, 1)
    pooled = net.add("GlobalAveragePool", "", x)
    return linear(net, net.add("Flatten", "", pooled, axis=1), "classifier.1", 1000)


def _block(net: Network, x: Tensor, name: str, factor: int, channels: int, stride: int) -> Tensor:
    wide, at = x.channels * factor, 0
    y = x
    if factor != 1:
        y, at = _layer(net, y, f"{name}.0", wide, 1), 1
    y = _layer(net, y, f"{name}.{at}", wide, 3, stride=stride, groups=wide)
    middle = 0.6 if stride == 1 and x.channels == channels else 1.0
    y = conv(net, y, f"{name}.{at + 1}", channels, 1, norm="node", middle=middle, norm_name=f"{name}.{at + 2}")
    return net.add("Add", name, x, y) if stride == 1 and x.channels == channels else y


def _layer(
    net: Network,
    x: Tensor,
    name: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    kind: Activation = "relu6",
) -> Tensor:
    y = conv(net, x, f"{name}.0", channels, kernel, norm="node", stride=stride, groups=groups, norm_name=f"{name}.1")
    return activated(net, y, f"{name}.2", kind)
