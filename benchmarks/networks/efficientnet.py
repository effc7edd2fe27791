"""EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946), as timm exports it.

SiLU is two nodes, a squeeze is a ReduceMean.
"""

from __future__ import annotations

from networks.layers import activated, conv, linear
from networks.network import Network, Tensor
from networks.squeeze import squeezed

_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Factor of expansion, kernel, stride of the first block, channels, blocks."""


def efficientnet_b0(net: Network) -> Tensor:
    """Add EfficientNet-B0; BatchNormalizations are folded."""
    x = activated(net, conv(net, net.input, "conv_stem", 32, 3, norm="folded", stride=2), "bn1.act", "silu")
    for stage, (factor, kernel, stride, channels, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            name = f"blocks.{stage}.{block}"
            x = _block(net, x, name, factor, kernel, stride if block == 0 else 1, channels)
    x = activated(net, conv(net, x, "conv_head", 1280, 1, norm="folded"), "bn2.act", "silu")
    pooled = net.add("GlobalAveragePool", "global_pool.pool", x)
    return linear(net, net.add("Flatten", "global_pool.flatten", pooled, axis=1), "classifier", 1000)


def _block(net: Network, x: Tensor, name: str, factor: int, kernel: int, stride: int, channels: int) -> Tensor:
    wide, y = x.channels * factor, x
    if factor != 1:
        y = activated(net, conv(net, y, f"{name}.conv_pw", wide, 1, norm="folded"), f"{name}.bn1.act", "silu")
    y = conv(net, y, f"{name}.conv_dw", wide, kernel, norm="folded", stride=stride, groups=wide)
    y = activated(net, y, f"{name}.bn2.act", "silu")
    squeeze = max(1, x.channels // 4)
    y = squeezed(net, y, f"{name}.se", squeeze, kind="silu", gate="Sigmoid", pool="ReduceMean")
    past = stride == 1 and x.channels == channels
    y = conv(net, y, f"{name}.conv_pwl", channels, 1, norm="folded", middle=0.6 if past else 1.0)
    return net.add("Add", name, y, x) if past else y
