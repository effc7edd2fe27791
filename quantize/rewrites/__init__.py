"""Rewrites that make a quantized graph faster on onnxruntime, each checked against what it declares."""

from __future__ import annotations

from quantize.rewrites.protocol import Declaration, Evidence, Movement, RatioInterval, Rewrite
from quantize.rewrites.runner import RewriteRecord, Rewritten, rewrite
from quantize.rewrites.selection import REWRITES, select_rewrites

__all__ = [
    "REWRITES",
    "Declaration",
    "Evidence",
    "Movement",
    "RatioInterval",
    "Rewrite",
    "RewriteRecord",
    "Rewritten",
    "rewrite",
    "select_rewrites",
]
