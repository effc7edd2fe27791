"""What torchvision's models take: values from 0 to 1, standardized by the colours of ILSVRC2012's training images.

Source: pytorch/vision, torchvision/transforms/_presets.py (``ImageClassification``).
"""

from __future__ import annotations

from typing import Any

IMAGENET: dict[str, Any] = {
    "resize_mode": "shorter",
    "interpolation": "bilinear",
    "channel_order": "RGB",
    "scale": 1 / 255,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
