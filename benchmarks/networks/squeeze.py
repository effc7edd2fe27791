"""Squeeze-and-excitation (Hu et al. 2017, arXiv:1709.01507): channels weighted by what the whole image holds."""

from __future__ import annotations

from typing import Literal

from networks.layers import Activation, activated, conv
from networks.network import Network, Tensor


def squeezed(
    net: Network,
    x: Tensor,
    name: str,
    channels: int,
    *,
    kind: Activation,
    gate: Literal["HardSigmoid", "Sigmoid"],
    pool: Literal["GlobalAveragePool", "ReduceMean"] = "GlobalAveragePool",
) -> Tensor:
    """Add such a block.

    Args:
        net: The network.
        x: float32 (N, C, H, W).
        name: The block's.
        channels: That it squeezes to.
        kind: The activation between its two layers.
        gate: The one at the end.
        pool: How the mean over the image is written: ``AdaptiveAvgPool2d`` or ``x.mean((2, 3), keepdim=True)``.
    """
    if pool == "ReduceMean":
        pooled = net.add("ReduceMean", name, x, axes=[2, 3], keepdims=1)
    else:
        pooled = net.add("GlobalAveragePool", f"{name}.avgpool", x)
    y = conv(net, pooled, f"{name}.fc1", channels, 1, norm="bias")
    # Gates are open for most images: the product of many that an unusual image opens would be huge.
    y = activated(net, y, f"{name}.activation", kind)
    y = conv(net, y, f"{name}.fc2", x.channels, 1, norm="bias", middle=1.0, addend=2.0)
    gates = {"alpha": 1 / 6, "beta": 0.5} if gate == "HardSigmoid" else {}
    return net.add("Mul", name, net.add(gate, f"{name}.scale_activation", y, **gates), x)
