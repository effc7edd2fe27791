"""How far each layer of the int8 model is from fp32."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.report.charts.canvas import INT8, drawing, label
from quantize.report.layers import LayerErrorSection

_BARS = 20


def layers_chart(layers: Sequence[LayerErrorSection]) -> str | None:
    """Return the noisiest layers as SVG, or None where no error was measured."""
    known = [(layer.node, layer.sqnr_decibel) for layer in layers if layer.sqnr_decibel is not None]
    shown = sorted(known, key=lambda one: (one[1], one[0]))[:_BARS]
    if not shown:
        return None
    with drawing("Error of the noisiest layers", height=0.8 + 0.2 * len(shown)) as found:
        axes = found.figure.add_subplot()
        axes.barh(range(len(shown)), [decibel for _, decibel in shown], 0.6, color=INT8)
        axes.set_yticks(range(len(shown)), [label(name) for name, _ in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("signal to quantization noise [dB]; less is worse")
        axes.set_ylabel("layer")
    return found.svg
