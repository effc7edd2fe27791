"""How much of a model Neural Compressor left in int8."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.engines.inc.decision import WEIGHTED, decisions_of
from quantize.recipe import Recipe


@dataclass(frozen=True)
class KeptInt8:
    """How much of what could be quantized is quantized.

    Attributes:
        ops: Quantized ops.
        all_ops: Ops that Neural Compressor can quantize, those that the settings keep in fp32 included.
        weighted: Quantized Conv, MatMul and Gemm.
        all_weighted: Conv, MatMul and Gemm in all.
    """

    ops: int
    all_ops: int
    weighted: int
    all_weighted: int

    @property
    def share(self) -> float | None:
        """Return the quantized fraction of all ops, None where there are none to quantize."""
        return self.ops / self.all_ops if self.all_ops else None


def kept_int8(recipe: Recipe) -> KeptInt8:
    """Return how much of what could be quantized a recipe of this engine quantizes."""
    decisions = decisions_of(recipe)
    weighted = [op for op in decisions if op.op_type in WEIGHTED]
    return KeptInt8(
        ops=sum(op.quantized for op in decisions),
        all_ops=len(decisions),
        weighted=sum(op.quantized for op in weighted),
        all_weighted=len(weighted),
    )
