"""What was found out about this CPU."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.kernels import Kernel
from quantize.measurement.machine.peaks import Peaks
from quantize.target import CpuClass


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
        memory_rate: Bytes a second that one thread copies in memory, read and written ones counted.
        single: Peaks on one thread.
        several: Peaks on more threads; None where one thread was asked for.
        measured: When, UTC, ISO 8601.
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
    single: Peaks
    several: Peaks | None
    measured: str
    seconds: float

    def peaks(self, threads: int) -> Peaks:
        """Return the peaks on some number of threads.

        Raises:
            KeyError: They were not measured.
        """
        for peaks in (self.single, self.several):
            if peaks is not None and peaks.threads == threads:
                return peaks
        raise KeyError(threads)

    @property
    def saturates(self) -> bool:
        """Return whether sums of uint8 by int8 products saturate."""
        return any(kernel.saturates for kernel in self.kernels if kernel.arithmetic == "u8s8")
