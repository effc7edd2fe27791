"""All classes of CPUs. To add one, write a file in this folder and list it here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from quantize.cpus.any_cpu import ANY
from quantize.cpus.arm64 import ARM64
from quantize.cpus.avx2 import AVX2
from quantize.cpus.traits import CpuTraits
from quantize.cpus.vnni import VNNI

CLASSES: Mapping[str, CpuTraits] = MappingProxyType(
    {
        traits.name: traits
        for traits in (
            VNNI,
            AVX2,
            ARM64,
            ANY,
        )
    }
)
"""By name. A CPU is of the first class that includes it, and of the last one if none does."""

RECORDED_SETS: tuple[str, ...] = tuple(dict.fromkeys(flag for traits in CLASSES.values() for flag in traits.recorded))
"""The instruction sets that decide which kernels onnxruntime picks, as Linux names them."""

DOT_PRODUCTS: frozenset[str] = frozenset().union(*(traits.dot_products for traits in CLASSES.values()))
"""The instruction sets that have a dot product of bytes."""


def class_of(architecture: str, instruction_sets: frozenset[str]) -> str:
    """Return the name of the class of a CPU.

    Args:
        architecture: As the system names it, such as ``x86_64``; empty where it is not known.
        instruction_sets: Named as Linux names them.
    """
    including = (name for name, traits in CLASSES.items() if traits.includes(architecture, instruction_sets))
    return next(including, ANY.name)
