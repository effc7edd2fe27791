"""VGG (Simonyan and Zisserman 2014, arXiv:1409.1556), as torchvision's: a file of 531 MB, most of it one Gemm."""

from __future__ import annotations

from networks.layers import activated, conv, linear
from networks.network import Network, Tensor

_WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_HIDDEN = 4096


def vgg11(net: Network) -> Tensor:
    """Add VGG-11; there is nothing to normalize."""
    x, number = net.input, 0
    for widths in _WIDTHS:
        for width in widths:
            x = conv(net, x, f"features.{number}", width, 3, norm="bias")
            x = activated(net, x, f"features.{number + 1}", "relu")
            number += 2
        window = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
        x = net.add("MaxPool", f"features.{number}", x, **window, ceil_mode=0)
        number += 1
    x = net.add("Flatten", "", x, axis=1)
    for name in ("classifier.0", "classifier.3"):
        x = activated(net, linear(net, x, name, _HIDDEN, spread=1.0), f"{name}.relu", "relu")
    return linear(net, x, "classifier.6", 1000)
