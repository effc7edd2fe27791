"""What this core can do at best, whatever the kind of layer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.peaks import Peaks


class Peak(BaseModel):
    """The most multiply-adds a second that onnxruntime reaches here.

    Attributes:
        int8: uint8 by int8, multiply-adds a second.
        fp32: Multiply-adds a second.
        threads: Threads that shared the work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    int8: float
    fp32: float
    threads: int


def highest(peaks: Peaks) -> Peak:
    """Return the highest peaks of all kinds of layers."""
    return Peak(int8=peaks.best_int8, fp32=peaks.best_fp32, threads=peaks.threads)
