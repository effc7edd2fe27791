"""The layers whose speed stands for their kind, and what of them is the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from quantize.measurement.machine.arithmetic import Arithmetic
from quantize.measurement.machine.layer_shapes import KINDS, ConvShape, GemmShape, LayerKind, Shape
from quantize.measurement.machine.peaks import KindPeak, Peaks
from quantize.measurement.machine.probe import Probe
from quantize.measurement.machine.probe_times import ProbeTimes
from quantize.models.session import MissingKernelError

# Sizes of real classifiers (SqueezeNet, EfficientNet-Lite0), whose data and weights fit a second-level cache of 1 MB.
SHAPES: Mapping[LayerKind, tuple[Shape, ...]] = {
    "pointwise": (ConvShape(256, 256, (1, 1), (14, 14)), ConvShape(512, 192, (1, 1), (13, 13))),
    "spatial": (
        ConvShape(64, 64, (3, 3), (28, 28), pads=(1, 1, 1, 1)),
        ConvShape(64, 256, (3, 3), (13, 13), pads=(1, 1, 1, 1)),
    ),
    "depthwise": (
        ConvShape(240, 240, (5, 5), (28, 28), pads=(2, 2, 2, 2), group=240),
        ConvShape(672, 672, (5, 5), (14, 14), pads=(2, 2, 2, 2), group=672),
    ),
    "first": (ConvShape(3, 64, (3, 3), (112, 112), strides=(2, 2), pads=(1, 1, 1, 1)),),
    "gemm": (GemmShape(128, 512, 256),),
}
# The same first layer after SpaceToDepth(2): four pixels side by side are twelve channels.
_REWRITTEN = ConvShape(12, 64, (2, 2), (56, 56), pads=(1, 1, 0, 0))


@dataclass(frozen=True)
class Rates:
    """Multiply-adds a second of some layers.

    Attributes:
        of: By layer, as the shape needs them: what a rewrite adds is not counted.
        spread: Largest relative difference between the two halves' shortest times.
    """

    of: Mapping[Probe, float]
    spread: float

    def best(self, kind: LayerKind, arithmetic: Arithmetic, *, block: int = 1) -> float | None:
        """Return the highest rate of a kind's layers; None where none was measured."""
        found = [
            rate
            for probe, rate in self.of.items()
            if probe.arithmetic == arithmetic and probe.block == block and _kind(probe) == kind
        ]
        return max(found, default=None)


def measured_peaks(threads: int, times: ProbeTimes) -> Peaks:
    """Return the peaks of fp32 and int8 on some number of threads.

    Args:
        threads: Intra-op threads.
        times: Measures layers.
    """
    found, spread = [], 0.0
    for kind in KINDS:
        rates = measured_rates(kind, ("fp32", "u8s8"), threads, times)
        fp32, plain = rates.best(kind, "fp32"), rates.best(kind, "u8s8")
        assert fp32 is not None
        assert plain is not None
        rewritten = rates.best(kind, "u8s8", block=2) or 0.0
        found.append(KindPeak(kind=kind, fp32=fp32, int8=max(plain, rewritten), rewritten=rewritten > plain))
        spread = max(spread, rates.spread)
    return Peaks(threads=threads, kinds=tuple(found), spread=spread)


def measured_rates(
    kind: LayerKind, arithmetics: Sequence[Arithmetic], threads: int, times: ProbeTimes, shapes: Sequence[Shape] = ()
) -> Rates:
    """Return the rates of a kind's layers in several arithmetics, measured in turns.

    Args:
        kind: The kind; of first layers the rewritten one is measured too where onnxruntime can compute it.
        arithmetics: The arithmetics.
        threads: Intra-op threads.
        times: Measures layers.
        shapes: The layers; by default those that stand for their kind.
    """
    own = tuple(shapes) or SHAPES[kind]
    probes = [Probe(shape, arithmetic) for shape in own for arithmetic in arithmetics]
    counts = {probe: probe.shape.multiply_adds for probe in probes}
    taken = None
    if kind == "first" and not shapes:
        rewritten = Probe(_REWRITTEN, "u8s8", block=2)
        with suppress(MissingKernelError):  # onnxruntime before 1.24 has no SpaceToDepth of 8 bits
            taken = times([*probes, rewritten], threads)
            probes.append(rewritten)
            counts[rewritten] = own[0].multiply_adds
    if taken is None:
        taken = times(probes, threads)
    rates = {probe: counts[probe] * 1e9 / max(1, min(runs)) for probe, runs in zip(probes, taken, strict=True)}
    return Rates(rates, max(_spread(runs) for runs in taken))


def _spread(runs: Sequence[int]) -> float:
    halves = [min(half, default=0) for half in (runs[: len(runs) // 2], runs[len(runs) // 2 :])]
    return abs(halves[0] - halves[1]) / max(1, min(halves))


def _kind(probe: Probe) -> LayerKind:
    return "first" if probe.block > 1 else probe.shape.kind
