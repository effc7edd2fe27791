"""ShuffleNetV2 of width 1 (Ma et al. 2018, arXiv:1807.11164), laid out as torchvision's; normalizations are folded."""

from __future__ import annotations

import numpy as np

from networks.layers import activated, conv, linear, max_pool
from networks.network import Network, Tensor

_STAGES = ((2, 4, 116), (3, 8, 232), (4, 4, 464))
"""Number, blocks, channels."""


def shufflenet_v2(net: Network) -> Tensor:
    """Add ShuffleNetV2."""
    x = activated(net, conv(net, net.input, "conv1.0", 24, 3, norm="folded", stride=2), "conv1.2", "relu")
    x = max_pool(net, x, "maxpool", pad=1)
    for number, blocks, channels in _STAGES:
        for block in range(blocks):
            x = _block(net, x, f"stage{number}.{block}", channels, 2 if block == 0 else 1)
    x = activated(net, conv(net, x, "conv5.0", 1024, 1, norm="folded"), "conv5.2", "relu")
    return linear(net, net.add("ReduceMean", "", x, axes=[2, 3], keepdims=0), "fc", 1000)


def _block(net: Network, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    half = channels // 2
    if stride == 1:
        first, second = net.add_several("Split", name, x, np.array([half, half]), outputs=2, axis=1)
    else:
        first = conv(net, x, f"{name}.branch1.0", x.channels, 3, norm="folded", stride=2, groups=x.channels)
        first = activated(
            net, conv(net, first, f"{name}.branch1.2", half, 1, norm="folded"), f"{name}.branch1.4", "relu"
        )
        second = x
    path = f"{name}.branch2"
    y = activated(net, conv(net, second, f"{path}.0", half, 1, norm="folded"), f"{path}.2", "relu")
    y = conv(net, y, f"{path}.3", half, 3, norm="folded", stride=stride, groups=half)
    y = activated(net, conv(net, y, f"{path}.5", half, 1, norm="folded"), f"{path}.7", "relu")
    return _shuffled(net, net.add("Concat", name, first, y, axis=1), name)


def _shuffled(net: Network, x: Tensor, name: str) -> Tensor:
    """Add the channel shuffle of two groups: Reshape, Transpose, Reshape."""
    _, channels, height, width = x.values.shape
    y = net.add("Reshape", name, x, np.array([-1, 2, channels // 2, height, width]))
    y = net.add("Transpose", name, y, perm=[0, 2, 1, 3, 4])
    return net.add("Reshape", name, y, np.array([-1, channels, height, width]))
