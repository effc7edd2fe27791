"""DenseNet-121 (Huang et al. 2016, arXiv:1608.06993), laid out as torchvision's.

A BatchNormalization that reads a Concat has no Conv before it to go into, and stays a node in every export; the one
behind a layer's first Conv is folded.
"""

from __future__ import annotations

from networks.layers import activated, average_pool, batch_norm, conv, linear, max_pool
from networks.network import Network, Tensor

_GROWTH, _DEPTHS = 32, (6, 12, 24, 16)


def densenet121(net: Network) -> Tensor:
    """Add DenseNet-121."""
    x = conv(net, net.input, "features.conv0", 64, 7, norm="folded", stride=2)
    x = max_pool(net, activated(net, x, "features.relu0", "relu"), "features.pool0", pad=1)
    for number, depth in enumerate(_DEPTHS, start=1):
        x = _dense(net, x, f"features.denseblock{number}", depth)
        if number < len(_DEPTHS):
            x = _transition(net, x, f"features.transition{number}")
    x = activated(net, batch_norm(net, x, "features.norm5"), "", "relu")
    pooled = net.add("GlobalAveragePool", "", x)
    return linear(net, net.add("Flatten", "", pooled, axis=1), "classifier", 1000)


def _dense(net: Network, x: Tensor, name: str, depth: int) -> Tensor:
    features = [x]
    for number in range(1, depth + 1):
        layer = f"{name}.denselayer{number}"
        y = net.add("Concat", layer, *features, axis=1) if len(features) > 1 else x
        y = activated(net, batch_norm(net, y, f"{layer}.norm1"), f"{layer}.relu1", "relu")
        y = activated(net, conv(net, y, f"{layer}.conv1", 4 * _GROWTH, 1, norm="folded"), f"{layer}.relu2", "relu")
        features.append(conv(net, y, f"{layer}.conv2", _GROWTH, 3, norm="bias"))
    return net.add("Concat", name, *features, axis=1)


def _transition(net: Network, x: Tensor, name: str) -> Tensor:
    y = activated(net, batch_norm(net, x, f"{name}.norm"), f"{name}.relu", "relu")
    return average_pool(
        net, conv(net, y, f"{name}.conv", x.channels // 2, 1, norm="bias"), f"{name}.pool", size=2, stride=2
    )
