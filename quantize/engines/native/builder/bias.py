"""Analytic bias correction: what rounding the weights adds to a channel's mean is taken off its bias.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2,
with the means of the layer's input measured in the calibration pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantize.engines.native.builder.layers import Layer


def bias_shift(layer: Layer, error: npt.NDArray[np.float32], means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return float64 (output channels,), what to add to the bias: ``sum((W - Wq) * E[x])``.

    The zeros of a Conv's padding are not looked at: the means are taken for the border too.

    Args:
        layer: The layer.
        error: ``W - Wq`` as (output channels, inputs of one), the fp32 model being the reference.
        means: (input channels,) mean of the layer's input by channel over the calibration images.
    """
    outputs, inputs = error.shape
    channels = means.size // layer.group
    by_channel = error.astype(np.float64).reshape(layer.group, outputs // layer.group, channels, inputs // channels)
    shift: npt.NDArray[np.float64] = np.einsum("gock,gc->go", by_channel, means.reshape(layer.group, channels))
    return shift.reshape(outputs)
