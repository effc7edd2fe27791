"""The properties of a class of CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

CpuidBit = tuple[int, int, int, int]
"""Leaf, subleaf, register (0 to 3: EAX, EBX, ECX, EDX) and bit of a CPUID answer.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID."""


@dataclass(frozen=True)
class CpuLimit:
    """What the kernels of a family of CPUs can reach, in Conv and Gemm alone.

    Measured on Zen 1, by a model of the pipeline (llvm-mca) or by arithmetic from the width and number of the units
    elsewhere: docs/cpus.md.

    Attributes:
        name: The CPUs.
        fp32: Multiply-adds a cycle and core.
        int8: Of onnxruntime's kernel for uint8 data and int8 weights that cannot saturate: with 7-bit weights where
            8 bits would.
    """

    name: str
    fp32: float
    int8: float

    @property
    def gain(self) -> float:
        """Return what int8 gains at most; 1.0 where fp32 is as fast, for a layer can stay in fp32."""
        return max(1.0, self.int8 / self.fp32)


@dataclass(frozen=True)
class CpuTraits:
    """A class of CPUs.

    Attributes:
        name: As ``--target`` takes it.
        models_are_for: The CPUs that a model for this class is made for, in words.
        where: Where something holds for this class, in words.
        saturates: Whether sums of uint8 by int8 products may saturate: two neighbours are added in 16 bits.
        models_may_saturate: Whether models for this class may have sums that leave 16 bits: they are exact here, and
            saturate on other CPUs.
        architectures: Architectures, in lower case as systems name them, all of whose CPUs are of this class.
        recognized_by: Instruction sets, as Linux names them, any of which makes a CPU one of this class.
        recorded: Instruction sets that decide which kernels onnxruntime picks, in the order that reports list them.
        dot_products: Instruction sets that have a dot product of bytes.
        cpuid: Where CPUID tells of an instruction set.
        limits: What kernels can reach on the CPUs of this class; without AMX and the matrix instructions of arm64,
            whose 8 to 32 times no classifier was seen to reach.
    """

    name: str
    models_are_for: str
    where: str
    saturates: bool
    models_may_saturate: bool = False
    architectures: frozenset[str] = frozenset()
    recognized_by: frozenset[str] = frozenset()
    recorded: tuple[str, ...] = ()
    dot_products: frozenset[str] = frozenset()
    cpuid: Mapping[str, CpuidBit] = field(default_factory=lambda: MappingProxyType({}))
    limits: tuple[CpuLimit, ...] = ()

    def includes(self, architecture: str, instruction_sets: frozenset[str]) -> bool:
        """Return whether a CPU is recognized as one of this class."""
        return architecture.lower() in self.architectures or bool(instruction_sets & self.recognized_by)

    @property
    def gains(self) -> tuple[float, float]:
        """Return the least and the greatest gain of int8 on this class's CPUs.

        Raises:
            ValueError: No limits are known.
        """
        gains = [limit.gain for limit in self.limits]
        return min(gains), max(gains)
