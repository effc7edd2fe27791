"""Layers of convolutional networks as PyTorch exports them, with weights that suit what they are given."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from networks.network import Network, Tensor

Activation = Literal["relu", "relu6", "hardswish", "silu", "none"]
Norm = Literal["folded", "node", "bias"]
"""What is behind a Conv: a BatchNormalization folded into it, as the exporter does, one of its own, or only a bias."""

Floats = NDArray[np.float32]
_EPSILON = 1e-5
_SHIFT = 0.6  # of the factors: much smaller ones let an unusual image grow from layer to layer
_ALIVE = 0.1  # of the mean variance: a channel that is dead on these images does not explode on others


def conv(
    net: Network,
    x: Tensor,
    name: str,
    channels: int,
    kernel: int | tuple[int, int],
    *,
    norm: Norm,
    stride: int = 1,
    groups: int = 1,
    pads: tuple[int, int] | None = None,
    middle: float = 1.0,
    addend: float = 0.0,
    norm_name: str | None = None,
) -> Tensor:
    """Add a Conv, and the BatchNormalization behind it.

    Args:
        net: The network.
        x: float32 (N, C, H, W).
        name: The Conv's.
        channels: Of the output.
        kernel: Height and width.
        norm: What is behind it; with ``bias``, the output's standard deviation is ``middle``.
        stride: In both directions.
        groups: Of channels; as many as there are: depthwise.
        pads: At each side, vertically and horizontally; by default those that keep the size.
        middle: Median of the normalization's factors.
        addend: Mean of the addends, with ``bias``.
        norm_name: Of the BatchNormalization.
    """
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    top, left = pads if pads is not None else (high // 2, wide // 2)
    within = x.channels // groups
    weight = net.weight(channels, within, high, wide, fan_in=within * high * wide)
    attributes: dict[str, object] = {
        "kernel_shape": [high, wide],
        "strides": [stride, stride],
        "pads": [top, left, top, left],
        "dilations": [1, 1],
        "group": groups,
    }
    if norm == "node":
        made = net.add("Conv", name, x, weight, **attributes)
        return batch_norm(net, made, norm_name or f"{name}_norm", middle=middle)
    plain = net.tried("Conv", x, weight, **attributes)
    if norm == "bias":
        weight *= np.float32(middle / plain.std())
        return net.add("Conv", name, x, weight, net.shifts(channels, 0.2 * middle) + np.float32(addend), **attributes)
    scale, bias, mean, variance = _statistics(net, plain, middle)
    factor = scale / np.sqrt(variance + np.float32(_EPSILON))
    return net.add("Conv", name, x, weight * factor.reshape(-1, 1, 1, 1), bias - mean * factor, **attributes)


def batch_norm(net: Network, x: Tensor, name: str, *, middle: float = 1.0) -> Tensor:
    """Add a BatchNormalization with the statistics of its input, (N, C, H, W)."""
    parts = _statistics(net, np.asarray(x.values, np.float32), middle)
    return net.add("BatchNormalization", name, x, *parts, epsilon=_EPSILON)


def activated(net: Network, x: Tensor, name: str, kind: Activation) -> Tensor:
    """Add an activation, in the nodes that the exporter writes."""
    if kind == "relu":
        return net.add("Relu", name, x)
    if kind == "relu6":
        return net.add("Clip", name, x, np.array(0, np.float32), np.array(6, np.float32))
    if kind == "silu":
        return net.add("Mul", name, x, net.add("Sigmoid", name, x))
    if kind == "hardswish":
        return hard_swish(net, x, name)
    return x


def hard_swish(net: Network, x: Tensor, name: str) -> Tensor:
    """Add a hard swish: the operator from opset 14 on, HardSigmoid times x before."""
    if net.opset >= 14:
        return net.add("HardSwish", name, x)
    return net.add("Mul", name, x, net.add("HardSigmoid", name, x, alpha=1 / 6, beta=0.5))


def max_pool(net: Network, x: Tensor, name: str, *, pad: int) -> Tensor:
    """Add a MaxPool of 3x3, stride 2."""
    return net.add("MaxPool", name, x, kernel_shape=[3, 3], strides=[2, 2], pads=[pad] * 4, ceil_mode=0)


def average_pool(net: Network, x: Tensor, name: str, *, size: int, stride: int, pad: int = 0) -> Tensor:
    """Add an AveragePool, whose zeros at the sides count as PyTorch's do."""
    window = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
    return net.add("AveragePool", name, x, **window, count_include_pad=1, ceil_mode=0)


def linear(net: Network, x: Tensor, name: str, channels: int, *, spread: float = 2.5) -> Tensor:
    """Add a classifier's last layer, a Gemm: scores with mean 0 on the images, and this standard deviation.

    What all images share says nothing about any of them, and a trained bias takes it away.

    Args:
        net: The network.
        x: float32 (N, features).
        name: The layer's.
        channels: Number of classes.
        spread: Of the scores.
    """
    features = np.asarray(x.values, np.float32)
    weight = net.weight(channels, x.channels, fan_in=x.channels)
    scores = features @ weight.T
    weight *= spread / float((scores - scores.mean(axis=0)).std())
    bias = -(features @ weight.T).mean(axis=0) + net.shifts(channels)
    return net.add("Gemm", name, x, weight, bias.astype(np.float32), alpha=1.0, beta=1.0, transB=1)


def _statistics(net: Network, values: Floats, middle: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return (factors, addends, mean, variance), each float32 (C,)."""
    channels = values.shape[1]
    axes = (0, *range(2, values.ndim))
    variance = values.var(axis=axes, dtype=np.float64)
    variance = np.maximum(variance, _ALIVE * variance.mean())
    mean = values.mean(axis=axes, dtype=np.float64)
    return (
        net.gains(channels, middle),
        net.shifts(channels, _SHIFT * middle),
        mean.astype(np.float32),
        variance.astype(np.float32),
    )
