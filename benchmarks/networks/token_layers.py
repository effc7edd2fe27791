"""Layers of transformers and ConvNeXt as PyTorch exports them: channels are the last axis."""

from __future__ import annotations

import math

import numpy as np

from networks.network import Network, Tensor

_EPSILON = 1e-6


def dense(net: Network, x: Tensor, name: str, channels: int, *, spread: float = 1.0) -> Tensor:
    """Add a linear layer as MatMul and Add, its outputs with this standard deviation.

    Args:
        net: The network.
        x: float32 (…, features).
        name: The layer's.
        channels: Of the output.
        spread: Of the output.
    """
    features = x.values.shape[-1]
    weight = net.weight(features, channels, fan_in=features, axis=1)
    weight *= spread / float(net.tried("MatMul", x, weight).std())
    made = net.add("MatMul", name, x, weight)
    return net.add("Add", name, made, net.shifts(channels, 0.2 * spread))


def layer_norm(net: Network, x: Tensor, name: str) -> Tensor:
    """Add a LayerNormalization over the last axis: the operator from opset 17 on, nine nodes before.

    Its factors are further apart than those of a BatchNormalization: what makes trained transformers hard for one grid
    over all channels (Xiao et al. 2022, arXiv:2211.10438).
    """
    channels = int(x.values.shape[-1])
    gains, shifts = net.gains(channels, 1.0, 0.6), net.shifts(channels)
    if net.opset >= 17:
        return net.add("LayerNormalization", name, x, gains, shifts, axis=-1, epsilon=_EPSILON)
    centred = net.add("Sub", name, x, net.add("ReduceMean", name, x, axes=[-1], keepdims=1))
    squared = net.add("Pow", name, centred, np.array(2, np.float32))
    variance = net.add("ReduceMean", name, squared, axes=[-1], keepdims=1)
    root = net.add("Sqrt", name, net.add("Add", name, variance, np.array(_EPSILON, np.float32)))
    scaled = net.add("Mul", name, net.add("Div", name, centred, root), gains)
    return net.add("Add", name, scaled, shifts)


def gelu(net: Network, x: Tensor, name: str) -> Tensor:
    """Add a GELU: five nodes around Erf."""
    inner = net.add("Erf", name, net.add("Div", name, x, np.array(math.sqrt(2), np.float32)))
    product = net.add("Mul", name, x, net.add("Add", name, inner, np.array(1, np.float32)))
    return net.add("Mul", name, product, np.array(0.5, np.float32))
