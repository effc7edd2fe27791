"""Rewrites that make a quantized graph faster on onnxruntime, each checked against its declaration."""

from __future__ import annotations

from quantize.rewrites.channel_affine import CONTRACTS, InputContract, contract_input
from quantize.rewrites.contract_check import check_input_contract, fold_nearest
from quantize.rewrites.input_contract import fold_input_contract
from quantize.rewrites.protocol import Comparison, Declaration, Movement, Nearness, RatioInterval, Rewrite
from quantize.rewrites.registry import REWRITES, apply_rewrites, select_rewrites
from quantize.rewrites.runner import RewriteRecord, Rewritten, rewrite

__all__ = [
    "CONTRACTS",
    "REWRITES",
    "Comparison",
    "Declaration",
    "InputContract",
    "Movement",
    "Nearness",
    "RatioInterval",
    "Rewrite",
    "RewriteRecord",
    "Rewritten",
    "apply_rewrites",
    "check_input_contract",
    "contract_input",
    "fold_input_contract",
    "fold_nearest",
    "rewrite",
    "select_rewrites",
]
