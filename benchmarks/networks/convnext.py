"""ConvNeXt-Tiny (Liu et al. 2022, arXiv:2201.03545), laid out as torchvision's."""

from __future__ import annotations

from networks.layers import conv, linear
from networks.network import Network, Tensor
from networks.token_layers import dense, gelu, layer_norm

_STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))
"""Channels, blocks."""
_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def convnext_tiny(net: Network) -> Tensor:
    """Add ConvNeXt-Tiny."""
    x = conv(net, net.input, "features.0.0", _STAGES[0][0], 4, norm="bias", stride=4, pads=(0, 0))
    x = _normalized(net, x, "features.0.1")
    at = 1
    for number, (channels, blocks) in enumerate(_STAGES):
        if number:
            x = _normalized(net, x, f"features.{at}.0")
            x = conv(net, x, f"features.{at}.1", channels, 2, norm="bias", stride=2, pads=(0, 0))
            at += 1
        for block in range(blocks):
            x = _block(net, x, f"features.{at}.{block}")
        at += 1
    x = _normalized(net, net.add("GlobalAveragePool", "avgpool", x), "classifier.0")
    return linear(net, net.add("Flatten", "classifier.1", x, axis=1), "classifier.2", 1000)


def _normalized(net: Network, x: Tensor, name: str) -> Tensor:
    """Add a LayerNorm2d: the channels are moved to the end and back."""
    y = layer_norm(net, net.add("Transpose", name, x, perm=_LAST), name)
    return net.add("Transpose", name, y, perm=_FIRST)


def _block(net: Network, x: Tensor, name: str) -> Tensor:
    channels = x.channels
    y = conv(net, x, f"{name}.block.0", channels, 7, norm="bias", groups=channels)
    y = layer_norm(net, net.add("Transpose", f"{name}.block.1", y, perm=_LAST), f"{name}.block.2")
    y = gelu(net, dense(net, y, f"{name}.block.3", 4 * channels), f"{name}.block.4")
    y = net.add("Transpose", f"{name}.block.6", dense(net, y, f"{name}.block.5", channels), perm=_FIRST)
    scale = net.gains(channels, 0.4).reshape(-1, 1, 1)
    return net.add("Add", name, net.add("Mul", name, y, scale), x)
