"""What Caffe's reference models take: BGR pixels without their mean colour.

Source: the mean that Simonyan and Zisserman published with VGG (arXiv:1409.1556), as in Keras's mode ``caffe``
(keras/applications/imagenet_utils.py).
"""

from __future__ import annotations

from typing import Any

CAFFE: dict[str, Any] = {
    "resize_mode": "square",
    "interpolation": "bicubic",
    "channel_order": "BGR",
    "scale": 1.0,
    "mean": (123.68, 116.779, 103.939),
    "std": (1.0, 1.0, 1.0),
}
