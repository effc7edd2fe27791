"""What int8 can gain on CPUs that are not at hand: limits of kernels, from a table.

The kernels' limits are multiply-adds a cycle and core of Conv and Gemm alone: measured on Zen 1, by a model of the
pipeline (llvm-mca) or by arithmetic from the width and number of the units elsewhere: docs/cpus.md. A dot product does
nothing for depthwise layers, nor for first ones with three channels, which are taken to gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantize.target import CpuClass


@dataclass(frozen=True)
class CpuLimit:
    """The limits of a family of CPUs.

    Attributes:
        name: The CPUs.
        cpu_class: Their class.
        fp32: Multiply-adds a cycle and core.
        int8: Of onnxruntime's kernel for uint8 data and int8 weights that cannot saturate: with 7-bit weights where
            8 bits would.
    """

    name: str
    cpu_class: CpuClass
    fp32: float
    int8: float

    @property
    def gain(self) -> float:
        """Return what int8 gains at most; 1.0 where fp32 is as fast, for a layer can stay in fp32."""
        return max(1.0, self.int8 / self.fp32)


CPU_LIMITS = (
    CpuLimit("Zen 1", "avx2", 8.0, 7.7),
    CpuLimit("Zen 2, Haswell, Broadwell", "avx2", 16, 16),
    CpuLimit("Skylake client", "avx2", 16, 32),
    CpuLimit("Zen 3", "avx2", 16, 32),
    CpuLimit("Skylake-SP", "avx2", 32, 43),
    CpuLimit("Cascade Lake, Ice Lake-SP", "vnni", 32, 128),
    CpuLimit("Alder Lake, Zen 4", "vnni", 16, 64),
    CpuLimit("Zen 5", "vnni", 32, 128),
    CpuLimit("Raspberry Pi 4 (A72)", "arm64", 4, 8),
    CpuLimit("Raspberry Pi 5, Graviton2", "arm64", 8, 32),
    CpuLimit("Graviton3", "arm64", 16, 64),
    CpuLimit("Apple M1", "arm64", 16, 64),
)
"""Without AMX and the matrix instructions of arm64, whose 8 to 32 times no classifier was seen to reach."""


def gains_of(cpu_class: CpuClass) -> tuple[float, float]:
    """Return the least and the greatest limit of a class's CPUs.

    Raises:
        ValueError: The table has no CPU of that class.
    """
    gains = [limit.gain for limit in CPU_LIMITS if limit.cpu_class == cpu_class]
    return min(gains), max(gains)
