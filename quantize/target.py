"""The class of CPUs that a model is made for, and its consequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from quantize.cpus.registry import CLASSES

CPU_CLASSES: tuple[str, ...] = tuple(CLASSES)

if TYPE_CHECKING:
    CpuClass: TypeAlias = str
    Target: TypeAlias = str
else:
    CpuClass = Literal[CPU_CLASSES]
    """The name of a registered class; pydantic takes no other."""
    Target = Literal[("auto", *CPU_CLASSES)]
    """A class, or ``auto`` for the class of the machine that quantizes."""


def must_not_saturate(target: CpuClass) -> bool:
    """Return whether no layer of a model for ``target`` may have sums that leave 16 bits on an AVX2 machine."""
    return not CLASSES[target].models_may_saturate


def saturates(cpu_class: CpuClass) -> bool:
    """Return whether CPUs of a class may saturate sums of uint8 by int8 products."""
    return CLASSES[cpu_class].saturates


def computes_otherwise(cpu_class: CpuClass, target: CpuClass) -> bool:
    """Return whether a machine may give other sums than the CPUs that a model is made for.

    Models for every target but ``vnni`` have no sum that could saturate anywhere: they give the same ones everywhere.
    """
    return not must_not_saturate(target) and saturates(cpu_class)
