"""The most multiply-adds a second that each kind of layer reaches."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.layer_shapes import LayerKind


class KindPeak(BaseModel):
    """The peaks of one kind of layer.

    Attributes:
        kind: The kind.
        fp32: Multiply-adds a second.
        int8: Multiply-adds a second of uint8 data and int8 weights; for a first layer as it is or rewritten,
            whichever is faster.
        rewritten: Whether the rewritten one was faster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LayerKind
    fp32: float
    int8: float
    rewritten: bool = False

    @property
    def gain(self) -> float:
        """Return what int8 is expected to gain in such a layer: fp32 time over int8 time at equal efficiency."""
        return self.int8 / self.fp32


class Peaks(BaseModel):
    """The peaks on some number of threads.

    Attributes:
        threads: Threads that shared the work.
        kinds: The peaks of each kind of layer.
        spread: Largest relative difference between the shortest times of the measurement's two halves, a fraction:
            large where something else kept the machine busy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int
    kinds: tuple[KindPeak, ...]
    spread: float

    def of(self, kind: LayerKind) -> KindPeak:
        """Return the peaks of a kind.

        Raises:
            KeyError: It was not measured.
        """
        for peak in self.kinds:
            if peak.kind == kind:
                return peak
        raise KeyError(kind)

    @property
    def best_fp32(self) -> float:
        """Return the most that any kind reaches in fp32, multiply-adds a second."""
        return max(peak.fp32 for peak in self.kinds)

    @property
    def best_int8(self) -> float:
        """Return the most that any kind reaches in int8, multiply-adds a second."""
        return max(peak.int8 for peak in self.kinds)
