"""Classes of CPUs by how they compute integer products, and which of them a model is made for."""

from __future__ import annotations

from typing import Literal, get_args

CpuClass = Literal["vnni", "avx2", "arm64", "any"]
"""``vnni``: x86 with a dot product of bytes, whose sums are exact. ``avx2``: x86 without it, AVX512 included; two
neighbouring products of uint8 and int8 are added in 16 bits, and saturate. ``arm64``: exact sums. ``any``: unknown."""

CPU_CLASSES: tuple[CpuClass, ...] = get_args(CpuClass)

Target = Literal["auto", "vnni", "avx2", "arm64", "any"]
"""What may be asked for: a class, or ``auto``, which stands for the class of the machine that quantizes."""


def must_not_saturate(target: CpuClass) -> bool:
    """Return whether no layer of a model for ``target`` may have sums that leave 16 bits on an AVX2 machine."""
    return target != "vnni"


def saturates(cpu_class: CpuClass) -> bool:
    """Return whether CPUs of a class may saturate sums of uint8 by int8 products."""
    return cpu_class in ("avx2", "any")


def computes_otherwise(cpu_class: CpuClass, target: CpuClass) -> bool:
    """Return whether a machine may give other sums than the CPUs that a model is made for.

    Models for every target but ``vnni`` have no sum that could saturate anywhere: they give the same ones everywhere.
    """
    return not must_not_saturate(target) and saturates(cpu_class)
