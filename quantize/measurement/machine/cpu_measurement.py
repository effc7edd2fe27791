"""Measured properties of a CPU: how its kernels compute, and how fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.layer_shapes import LayerKind
from quantize.measurement.machine.probe import Arithmetic
from quantize.target import CpuClass


class KindPeakRates(BaseModel):
    """The peak rates of one kind of layer.

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


class PeakRates(BaseModel):
    """The peak rates on some number of threads.

    Attributes:
        threads: Threads that shared the work.
        kinds: The peak rates of each kind of layer.
        spread: Largest relative difference between the shortest times of the measurement's two halves, a fraction:
            large where something else kept the machine busy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int
    kinds: tuple[KindPeakRates, ...]
    spread: float

    def of(self, kind: LayerKind) -> KindPeakRates:
        """Return the peak rates of a kind.

        Raises:
            KeyError: It was not measured.
        """
        for rates in self.kinds:
            if rates.kind == kind:
                return rates
        raise KeyError(kind)

    @property
    def best_fp32(self) -> float:
        """Return the highest fp32 rate of any kind, in multiply-adds per second."""
        return max(rates.fp32 for rates in self.kinds)

    @property
    def best_int8(self) -> float:
        """Return the highest int8 rate of any kind, in multiply-adds per second."""
        return max(rates.int8 for rates in self.kinds)


class Kernel(BaseModel):
    """How one arithmetic is computed on one thread.

    Attributes:
        arithmetic: Types of activations and weights.
        saturates: Kinds of layers whose sums saturate.
        conv: Multiply-adds a second of a Conv 1x1.
        gemm: Multiply-adds a second of a Gemm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arithmetic: Arithmetic
    saturates: tuple[LayerKind, ...]
    conv: float
    gemm: float


class Machine(BaseModel):
    """What this CPU's kernels do and reach, with one version of onnxruntime.

    Attributes:
        cpu_class: Its class.
        cpu_model: The processor's name.
        architecture: For example ``x86_64``.
        instruction_sets: Those that matter to int8, sorted.
        cores: Cores that this process may use.
        onnxruntime: Its version.
        kernels: How each arithmetic is computed on one thread.
        memory_rate: Bytes per second that one thread copies in memory, counting both reads and writes.
        single: Peak rates on one thread.
        several: Peak rates on more threads; None if only one thread was measured.
        measured: Date and time, UTC, ISO 8601.
        seconds: How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_class: CpuClass
    cpu_model: str
    architecture: str
    instruction_sets: tuple[str, ...]
    cores: int
    onnxruntime: str
    kernels: tuple[Kernel, ...]
    memory_rate: float
    single: PeakRates
    several: PeakRates | None
    measured: str
    seconds: float

    def peak_rates(self, threads: int) -> PeakRates:
        """Return the peak rates on some number of threads.

        Raises:
            KeyError: They were not measured.
        """
        for rates in (self.single, self.several):
            if rates is not None and rates.threads == threads:
                return rates
        raise KeyError(threads)

    @property
    def saturates(self) -> bool:
        """Return whether sums of uint8 by int8 products saturate."""
        return any(kernel.saturates for kernel in self.kernels if kernel.arithmetic == "u8s8")
