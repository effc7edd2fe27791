"""Inception-v3 (Szegedy et al. 2015, arXiv:1512.00567), laid out as torchvision's; normalizations are folded."""

from __future__ import annotations

from networks.layers import activated, average_pool, conv, linear, max_pool
from networks.network import Network, Tensor

_Kernel = int | tuple[int, int]
_None, _Seven = (0, 0), ((1, 7), (7, 1))


def inception_v3(net: Network) -> Tensor:
    """Add Inception-v3, for images of 299 pixels."""
    x = _layer(net, net.input, "Conv2d_1a_3x3", 32, 3, stride=2, pads=_None)
    x = _layer(net, x, "Conv2d_2a_3x3", 32, 3, pads=_None)
    x = max_pool(net, _layer(net, x, "Conv2d_2b_3x3", 64, 3), "maxpool1", pad=0)
    x = _layer(net, x, "Conv2d_3b_1x1", 80, 1)
    x = max_pool(net, _layer(net, x, "Conv2d_4a_3x3", 192, 3, pads=_None), "maxpool2", pad=0)
    for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
        x = _module_a(net, x, f"Mixed_5{letter}", pooled)
    x = _module_b(net, x, "Mixed_6a")
    for letter, inside in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        x = _module_c(net, x, f"Mixed_6{letter}", inside)
    x = _module_d(net, x, "Mixed_7a")
    for letter in ("b", "c"):
        x = _module_e(net, x, f"Mixed_7{letter}")
    return linear(net, net.add("Flatten", "", net.add("GlobalAveragePool", "avgpool", x), axis=1), "fc", 1000)


def _layer(
    net: Network,
    x: Tensor,
    name: str,
    channels: int,
    kernel: _Kernel,
    *,
    stride: int = 1,
    pads: tuple[int, int] | None = None,
) -> Tensor:
    return activated(
        net, conv(net, x, f"{name}.conv", channels, kernel, norm="folded", stride=stride, pads=pads), name, "relu"
    )


def _chain(net: Network, x: Tensor, name: str, *layers: tuple[int, _Kernel]) -> Tensor:
    for number, (channels, kernel) in enumerate(layers, start=1):
        x = _layer(net, x, f"{name}_{number}", channels, kernel)
    return x


def _pooled(net: Network, x: Tensor, name: str, channels: int) -> Tensor:
    return _layer(net, average_pool(net, x, name, size=3, stride=1, pad=1), f"{name}.branch_pool", channels, 1)


def _module_a(net: Network, x: Tensor, name: str, pooled: int) -> Tensor:
    branches = [
        _layer(net, x, f"{name}.branch1x1", 64, 1),
        _chain(net, x, f"{name}.branch5x5", (48, 1), (64, 5)),
        _chain(net, x, f"{name}.branch3x3dbl", (64, 1), (96, 3), (96, 3)),
        _pooled(net, x, name, pooled),
    ]
    return net.add("Concat", name, *branches, axis=1)


def _module_b(net: Network, x: Tensor, name: str) -> Tensor:
    double = _chain(net, x, f"{name}.branch3x3dbl", (64, 1), (96, 3))
    branches = [
        _layer(net, x, f"{name}.branch3x3", 384, 3, stride=2, pads=_None),
        _layer(net, double, f"{name}.branch3x3dbl_3", 96, 3, stride=2, pads=_None),
        max_pool(net, x, name, pad=0),
    ]
    return net.add("Concat", name, *branches, axis=1)


def _module_c(net: Network, x: Tensor, name: str, inside: int) -> Tensor:
    wide, high = _Seven
    branches = [
        _layer(net, x, f"{name}.branch1x1", 192, 1),
        _chain(net, x, f"{name}.branch7x7", (inside, 1), (inside, wide), (192, high)),
        _chain(
            net, x, f"{name}.branch7x7dbl", (inside, 1), (inside, high), (inside, wide), (inside, high), (192, wide)
        ),
        _pooled(net, x, name, 192),
    ]
    return net.add("Concat", name, *branches, axis=1)


def _module_d(net: Network, x: Tensor, name: str) -> Tensor:
    wide, high = _Seven
    narrow = _layer(net, x, f"{name}.branch3x3_1", 192, 1)
    seven = _chain(net, x, f"{name}.branch7x7x3", (192, 1), (192, wide), (192, high))
    branches = [
        _layer(net, narrow, f"{name}.branch3x3_2", 320, 3, stride=2, pads=_None),
        _layer(net, seven, f"{name}.branch7x7x3_4", 192, 3, stride=2, pads=_None),
        max_pool(net, x, name, pad=0),
    ]
    return net.add("Concat", name, *branches, axis=1)


def _module_e(net: Network, x: Tensor, name: str) -> Tensor:
    branches = [
        _layer(net, x, f"{name}.branch1x1", 320, 1),
        _forked(net, _layer(net, x, f"{name}.branch3x3_1", 384, 1), f"{name}.branch3x3_2"),
        _forked(net, _chain(net, x, f"{name}.branch3x3dbl", (448, 1), (384, 3)), f"{name}.branch3x3dbl_3"),
        _pooled(net, x, name, 192),
    ]
    return net.add("Concat", name, *branches, axis=1)


def _forked(net: Network, x: Tensor, name: str) -> Tensor:
    parts = [_layer(net, x, f"{name}a", 384, (1, 3)), _layer(net, x, f"{name}b", 384, (3, 1))]
    return net.add("Concat", name, *parts, axis=1)
