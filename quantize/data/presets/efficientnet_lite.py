"""What EfficientNet-Lite takes: values from -1 to 1.

Source: tensorflow/tpu, models/official/efficientnet/lite (MEAN_RGB 127, STDDEV_RGB 128).
"""

from __future__ import annotations

from typing import Any

EFFICIENTNET_LITE: dict[str, Any] = {
    "resize_mode": "shorter",
    "interpolation": "bilinear",
    "channel_order": "RGB",
    "scale": 1.0,
    "mean": (127.0, 127.0, 127.0),
    "std": (128.0, 128.0, 128.0),
}
