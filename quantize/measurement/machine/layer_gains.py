"""The speed-up of each layer of a model on this CPU, measured alone, and the layers that exceed expectations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from quantize.measurement.machine.cpu_measurement import PeakRates
from quantize.measurement.machine.layer_shapes import LayerKind, Shape
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.measurement.machine.probe import Probe
from quantize.measurement.machine.probe_rates import ProbeTimes

SURPASSES = 1.10
"""A layer that gains this many times what is expected is listed."""
_AT_ONCE = 6


class LayerGain(BaseModel):
    """A layer in fp32 and in int8.

    Attributes:
        name: Its name, the first one's where several are of the same shape.
        layers: How many layers of this shape there are.
        kind: Its kind.
        multiply_adds: Of one image.
        fp32_bytes: Of its weights, input and result in fp32; None if its shape is not known.
        fp32_ns: Its time in fp32.
        int8_ns: Its time in int8.
        expected: What its kind is expected to gain; 1.0 where int8 is slower, for the layer can stay in fp32.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    layers: int = 1
    kind: LayerKind
    multiply_adds: int
    fp32_bytes: int | None
    fp32_ns: float
    int8_ns: float
    expected: float

    @property
    def gain(self) -> float:
        """Return fp32 time over int8 time."""
        return self.fp32_ns / self.int8_ns

    @property
    def surpasses(self) -> bool:
        """Return whether it gains over 10 % more than expected."""
        return self.gain > SURPASSES * self.expected


def measured_gains(layers: Sequence[ModelLayer], peak_rates: PeakRates, times: ProbeTimes) -> tuple[LayerGain, ...]:
    """Return the gain of each layer of a model that can be measured alone, one of each shape, in the model's order.

    Args:
        layers: The model's products.
        peak_rates: What this CPU reaches, and on how many threads the layers are measured.
        times: Measures layers.
    """
    same: dict[Shape, list[ModelLayer]] = {}
    for layer in layers:
        if layer.shape is not None:
            same.setdefault(layer.shape, []).append(layer)
    gains = []
    for shapes in _some(list(same)):
        probes = [Probe(shape, arithmetic) for shape in shapes for arithmetic in ("fp32", "u8s8")]
        taken = [float(min(runs)) for runs in times(probes, peak_rates.threads)]
        for shape, fp32_ns, int8_ns in zip(shapes, taken[::2], taken[1::2], strict=True):
            gains.append(
                LayerGain(
                    name=same[shape][0].name,
                    layers=len(same[shape]),
                    kind=shape.kind,
                    multiply_adds=shape.multiply_adds,
                    fp32_bytes=shape.fp32_bytes,
                    fp32_ns=max(1.0, fp32_ns),
                    int8_ns=max(1.0, int8_ns),
                    expected=max(1.0, peak_rates.of(shape.kind).gain),
                )
            )
    return tuple(gains)


def surpassing_reason(gain: LayerGain, peak_rates: PeakRates, memory_rate: float) -> str:
    """Return why a layer gains more than expected of its kind.

    It is memory where moving the layer's fp32 values once takes as long as half of its arithmetic at the peak: int8
    moves a quarter of them. Else fp32 is further from its peak in this shape than int8 is.

    Args:
        gain: The layer.
        peak_rates: Of the same number of threads.
        memory_rate: Bytes a second that are copied in memory.
    """
    rates = peak_rates.of(gain.kind)
    arithmetic_ns = gain.multiply_adds * 1e9 / rates.fp32
    if gain.fp32_bytes is not None and gain.fp32_bytes * 1e9 / memory_rate >= arithmetic_ns / 2:
        moved, count = gain.fp32_bytes / 1e6, gain.multiply_adds / 1e6
        return f"memory: {moved:.1f} MB of fp32 values for {count:.1f} M multiply-adds"
    int8_share = gain.multiply_adds * 1e9 / rates.int8 / gain.int8_ns
    fp32_share = arithmetic_ns / gain.fp32_ns
    return f"shape: fp32 reaches {100 * fp32_share:.0f} % of its peak in it, int8 {100 * int8_share:.0f} %"


def _some(shapes: Sequence[Shape]) -> Iterable[Sequence[Shape]]:
    return (shapes[begin : begin + _AT_ONCE] for begin in range(0, len(shapes), _AT_ONCE))
