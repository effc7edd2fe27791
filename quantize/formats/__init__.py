"""The two formats of a quantized graph, QDQ and QLinear, and the conversion between them."""

from __future__ import annotations

from quantize.formats.qdq import canonical, to_qdq
from quantize.formats.qlinear import quantized_format, to_qlinear

__all__ = ["canonical", "quantized_format", "to_qdq", "to_qlinear"]
