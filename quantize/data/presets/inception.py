"""What TensorFlow's Inception models, and Keras's of mode ``tf``, take: values from -1 to 1 of the central 87.5 %.

Source of the values: tensorflow/models, research/slim/preprocessing/inception_preprocessing.py
(``preprocess_for_eval``: from 0 to 1, minus 0.5, times 2), the same as ``x / 127.5 - 1`` of Keras
(keras/applications/imagenet_utils.py). Source of the crop: timm's ``crop_pct=0.875`` for these models, which keeps the
aspect ratio; a model of 299 pixels gets the centre of 342. TF-slim itself cuts 87.5 % of both sides and squeezes that.
"""

from __future__ import annotations

from typing import Any

INCEPTION: dict[str, Any] = {
    "resize_mode": "shorter",
    "interpolation": "bilinear",
    "channel_order": "RGB",
    "scale": 1 / 127.5,
    "mean": (1.0, 1.0, 1.0),
    "std": (1.0, 1.0, 1.0),
}
