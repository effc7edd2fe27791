"""ResNet (He et al. 2015, arXiv:1512.03385), laid out as torchvision's: the stride is in the 3x3 Conv."""

from __future__ import annotations

from collections.abc import Sequence

from networks.layers import Norm, activated, conv, linear, max_pool
from networks.network import Network, Tensor

_WIDTHS = (64, 128, 256, 512)


def resnet18(net: Network) -> Tensor:
    """Add ResNet-18; BatchNormalizations are folded, as the exporter does."""
    return _resnet(net, (2, 2, 2, 2), bottleneck=False, norm="folded")


def resnet50(net: Network) -> Tensor:
    """Add ResNet-50; BatchNormalizations are nodes, as in the ONNX model zoo's."""
    return _resnet(net, (3, 4, 6, 3), bottleneck=True, norm="node")


def _resnet(net: Network, depths: Sequence[int], *, bottleneck: bool, norm: Norm) -> Tensor:
    x = conv(net, net.input, "conv1", 64, 7, norm=norm, stride=2, norm_name="bn1")
    x = max_pool(net, activated(net, x, "relu", "relu"), "maxpool", pad=1)
    for stage, (width, depth) in enumerate(zip(_WIDTHS, depths, strict=True), start=1):
        for block in range(depth):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _block(net, x, f"layer{stage}.{block}", width, stride, bottleneck=bottleneck, norm=norm)
    pooled = net.add("GlobalAveragePool", "avgpool", x)
    return linear(net, net.add("Flatten", "", pooled, axis=1), "fc", 1000)


def _block(net: Network, x: Tensor, name: str, width: int, stride: int, *, bottleneck: bool, norm: Norm) -> Tensor:
    out = width * 4 if bottleneck else width
    layers = [(width, 1, 1), (width, 3, stride), (out, 1, 1)] if bottleneck else [(width, 3, stride), (width, 3, 1)]
    y = x
    for number, (channels, kernel, step) in enumerate(layers, start=1):
        last = number == len(layers)
        middle = 0.4 if last else 1.0  # trained ones keep what a block adds smaller than what goes past it
        bn = f"{name}.bn{number}"
        y = conv(net, y, f"{name}.conv{number}", channels, kernel, norm=norm, stride=step, middle=middle, norm_name=bn)
        if not last:
            y = activated(net, y, f"{name}.relu", "relu")
    if stride != 1 or x.channels != out:
        bn = f"{name}.downsample.1"
        x = conv(net, x, f"{name}.downsample.0", out, 1, norm=norm, stride=stride, norm_name=bn)
    return activated(net, net.add("Add", name, y, x), f"{name}.relu", "relu")
