"""Sentences on what int8 is expected to gain."""

from __future__ import annotations

from quantize.cpus.registry import CLASSES
from quantize.measurement.machine.expectation import Estimate, Expectation
from quantize.measurement.machine.machine import Machine
from quantize.target import CpuClass

BUSY = 0.15
"""Peaks whose halves differ by more were measured while something else kept the machine busy."""


def expectation_line(expectation: Expectation, machine: Machine, target: CpuClass | None = None) -> str:
    """Return the line that ``tune`` begins with: ``NAME: 1.0x expected here; about 3x with VNNI (…)``.

    Args:
        expectation: What int8 is expected to gain.
        machine: This CPU.
        target: The class that the model is made for, which is named where it is another one than this CPU's.
    """
    other: CpuClass = "avx2" if machine.cpu_class == "vnni" else "vnni"
    if target is not None and target != machine.cpu_class and target != "any":
        other = target
    threads = "" if expectation.threads == 1 else f" on {expectation.threads} threads"
    told = [f"{expectation.model}: {expectation.gain:.1f}x expected here{threads}"]
    told += [estimate_words(estimate) for estimate in expectation.elsewhere if estimate.cpu_class == other]
    return "; ".join(told) + (" (estimate from a table)" if len(told) > 1 else "")


def estimate_words(estimate: Estimate) -> str:
    """Return an estimate in words."""
    on = CLASSES[estimate.cpu_class].where
    if estimate.high - estimate.low < 0.05:
        return f"about {estimate.high:.0f}x {on}" if estimate.high >= 1.5 else f"about {estimate.high:.1f}x {on}"
    return f"{estimate.low:.1f}x to {estimate.high:.1f}x {on}"


def saturation_words(machine: Machine) -> str:
    """Return in one sentence what int8 sums do on this CPU and what follows from it."""
    if machine.saturates:
        return "Sums of 8-bit products saturate here: --target auto, the default, makes models that cannot."
    return "Sums of 8-bit products are exact here."


def busy_words(machine: Machine) -> str | None:
    """Return a warning where the machine was busy while it was measured, or None."""
    spread = max(peaks.spread for peaks in (machine.single, machine.several) if peaks is not None)
    if spread <= BUSY:
        return None
    return f"The machine was busy: times moved by {spread:.0%}. Measure again when it is quiet (--measure_again)."
