"""x86 with byte dot products: sums are exact."""

from __future__ import annotations

from types import MappingProxyType

from quantize.cpus.traits import CpuLimit, CpuTraits

_DOT_PRODUCTS = MappingProxyType(
    {
        "avx512_vnni": (7, 0, 2, 11),
        "amx_int8": (7, 0, 3, 25),
        "avx_vnni": (7, 1, 0, 4),
        "avx_vnni_int8": (7, 1, 3, 4),
    }
)

VNNI = CpuTraits(
    name="vnni",
    models_are_for="CPUs with VNNI",
    where="with VNNI",
    saturates=False,
    models_may_saturate=True,
    recognized_by=frozenset(_DOT_PRODUCTS),
    recorded=("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    dot_products=frozenset(_DOT_PRODUCTS),
    cpuid=_DOT_PRODUCTS,
    limits=(
        CpuLimit("Cascade Lake, Ice Lake-SP", 32, 128),
        CpuLimit("Alder Lake, Zen 4", 16, 64),
        CpuLimit("Zen 5", 32, 128),
    ),
)
