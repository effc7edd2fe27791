"""x86 without byte dot products, AVX512 included: sums of two products are added in 16 bits and saturate."""

from __future__ import annotations

from types import MappingProxyType

from quantize.cpus.traits import CpuLimit, CpuTraits

AVX2 = CpuTraits(
    name="avx2",
    models_are_for="x86 CPUs without VNNI",
    where="without VNNI",
    saturates=True,
    recognized_by=frozenset({"avx2"}),
    recorded=("avx2", "avx512f"),
    cpuid=MappingProxyType({"avx2": (7, 0, 1, 5), "avx512f": (7, 0, 1, 16)}),
    limits=(
        CpuLimit("Zen 1", 8.0, 7.7),
        CpuLimit("Zen 2, Haswell, Broadwell", 16, 16),
        CpuLimit("Skylake client", 16, 32),
        CpuLimit("Zen 3", 16, 32),
        CpuLimit("Skylake-SP", 32, 43),
    ),
)
