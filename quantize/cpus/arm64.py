"""arm64: sums of integer products are exact, with or without byte dot products."""

from __future__ import annotations

from quantize.cpus.traits import CpuLimit, CpuTraits

ARM64 = CpuTraits(
    name="arm64",
    models_are_for="arm64 CPUs",
    where="on arm64",
    saturates=False,
    architectures=frozenset({"aarch64", "arm64"}),
    recognized_by=frozenset({"asimd", "asimddp", "i8mm", "sve"}),
    recorded=("asimd", "asimddp", "i8mm", "sve"),
    dot_products=frozenset({"asimddp", "i8mm"}),
    limits=(
        CpuLimit("Raspberry Pi 4 (A72)", 4, 8),
        CpuLimit("Raspberry Pi 5, Graviton2", 8, 32),
        CpuLimit("Graviton3", 16, 64),
        CpuLimit("Apple M1", 16, 64),
    ),
)
