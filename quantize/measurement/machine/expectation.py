"""The expected speed-up of int8 in a model, on this CPU and on other classes of CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from quantize.cpus.registry import CLASSES
from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.layer_shapes import KINDS, LayerKind
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.target import CpuClass

_DOT_PRODUCT_KINDS: frozenset[LayerKind] = frozenset({"pointwise", "spatial", "gemm"})


class KindShare(BaseModel):
    """The layers of one kind in a model.

    Attributes:
        kind: The kind.
        layers: How many there are.
        multiply_adds: Of one image.
        fp32_ns: That they take at fp32's peak.
        gain: What int8 is expected to gain in them: fp32 peak time over int8 peak time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LayerKind
    layers: int
    multiply_adds: int
    fp32_ns: float
    gain: float


class Estimate(BaseModel):
    """What int8 would gain on another class of CPUs, from a table of limits.

    Attributes:
        cpu_class: The class.
        low: On the CPU of the class that gains least.
        high: On the CPU of the class that gains most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_class: CpuClass
    low: float
    high: float


class Expectation(BaseModel):
    """What int8 is expected to gain in a model's products.

    Attributes:
        model: Its name.
        threads: On how many threads.
        kinds: Its layers by kind; kinds that it has none of are left out.
        elsewhere: Estimates for the other classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    threads: int
    kinds: tuple[KindShare, ...]
    elsewhere: tuple[Estimate, ...]

    @property
    def gain(self) -> float:
        """Return fp32 time over int8 time of all products at their peaks; where int8 gains nothing, fp32 stays."""
        return _gain(self.kinds, lambda share: share.gain)


def expected(name: str, layers: Sequence[ModelLayer], machine: Machine, threads: int = 1) -> Expectation | None:
    """Return what int8 is expected to gain; None for a model without a product of known shape.

    Args:
        name: The model's name.
        layers: Its products.
        machine: What this CPU reaches.
        threads: On how many threads; the machine was measured on as many.
    """
    peak_rates = machine.peak_rates(threads)
    shares = []
    for kind in KINDS:
        counts = [layer.multiply_adds for layer in layers if layer.kind == kind]
        if counts:
            rates = peak_rates.of(kind)
            fp32_ns = sum(counts) * 1e9 / rates.fp32
            share = KindShare(
                kind=kind, layers=len(counts), multiply_adds=sum(counts), fp32_ns=fp32_ns, gain=rates.gain
            )
            shares.append(share)
    if not shares:
        return None
    others = [name for name, traits in CLASSES.items() if traits.limits and name != machine.cpu_class]
    elsewhere = [_estimate(other, shares) for other in others]
    return Expectation(model=name, threads=peak_rates.threads, kinds=tuple(shares), elsewhere=tuple(elsewhere))


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


def _estimate(cpu_class: CpuClass, shares: Sequence[KindShare]) -> Estimate:
    low, high = (
        _gain(shares, lambda share, most=most: most if share.kind in _DOT_PRODUCT_KINDS else 1.0)  # type: ignore[misc]
        for most in CLASSES[cpu_class].gains
    )
    return Estimate(cpu_class=cpu_class, low=low, high=high)


def _gain(shares: Sequence[KindShare], gain: Callable[[KindShare], float]) -> float:
    return sum(share.fp32_ns for share in shares) / sum(share.fp32_ns / max(1.0, gain(share)) for share in shares)
