"""This CPU's measurements on one screen of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from quantize.cpus.registry import class_of
from quantize.graph.nodes import WEIGHTED
from quantize.measurement.machine.cpu_measurement import Machine, PeakRates
from quantize.measurement.machine.expectation import Expectation, estimate_words, expectation_line
from quantize.measurement.machine.kernels import kernel_words
from quantize.measurement.machine.layer_gains import LayerGain, surpassing_reason
from quantize.measurement.machine.layer_shapes import KIND_NAMES

_WIDTH = 80
_NAME, _SHORT = 38, 30
_LISTED = 12
BUSY = 0.15
"""Peak rates whose halves differ by more were measured while something else kept the machine busy."""


def machine_text(
    machine: Machine,
    from_cache: Path | None = None,
    expectation: Expectation | None = None,
    layers: Sequence[LayerGain] = (),
) -> str:
    """Return the class, the kernels, the peaks and, for a model, what int8 is expected to gain.

    Args:
        machine: The measurement.
        from_cache: The file that it was read from; None if it was measured now.
        expectation: Of a model, where one was named.
        layers: What the model's layers gain, measured alone.
    """
    parts = [_head(machine, from_cache), _kernels(machine), _peak_rates(machine)]
    if expectation is not None:
        parts.append(_expectation(expectation, machine))
        parts += [_layers(layers, machine.peak_rates(expectation.threads), machine.memory_rate)] if layers else []
    return "\n\n".join(parts)


def saturation_words(machine: Machine) -> str:
    """Return in one sentence what int8 sums do on this CPU and what follows from it."""
    if machine.saturates:
        return "Sums of 8-bit products saturate here: --target auto, the default, makes models that cannot."
    return "Sums of 8-bit products are exact here."


def busy_words(machine: Machine) -> str | None:
    """Return a warning where the machine was busy while it was measured, or None."""
    spread = max(rates.spread for rates in (machine.single, machine.several) if rates is not None)
    if spread <= BUSY:
        return None
    return (
        f"The machine was busy: times moved by {100 * spread:.0f} %. Measure again when it is quiet (--measure_again)."
    )


def _head(machine: Machine, from_cache: Path | None) -> str:
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    lines = [f"{machine.cpu_model}, {machine.architecture}, {cores}, onnxruntime {machine.onnxruntime}"]
    sets = frozenset(machine.instruction_sets)
    # If the class was overridden, the instruction sets do not explain it.
    told = f" ({' '.join(sorted(sets))})" if sets and class_of(machine.architecture, sets) == machine.cpu_class else ""
    lines.append(f"class {machine.cpu_class}{told}")
    if from_cache is None:
        lines.append(f"measured now, in {machine.seconds:.1f} s")
    else:
        when = datetime.fromisoformat(machine.measured)
        lines.append(f"from the cache, measured {when:%Y-%m-%d %H:%M} UTC (--measure_again measures again)")
    busy = busy_words(machine)
    lines += [busy] if busy is not None else []
    return _wrapped(lines)


def _kernels(machine: Machine) -> str:
    fp32 = next(kernel for kernel in machine.kernels if kernel.arithmetic == "fp32")
    lines = [f"{'kernels, 1 thread':<21}{'Conv 1x1':>8}{'Gemm':>16}"]
    for kernel in machine.kernels:
        conv, gemm = kernel.conv / fp32.conv, kernel.gemm / fp32.gemm
        words = "" if kernel.arithmetic == "fp32" else "  " + kernel_words(machine.kernels, kernel.arithmetic)
        lines.append(
            f"  {kernel.arithmetic:<12}{_rate(kernel.conv):>8}{conv:>6.2f}x{_rate(kernel.gemm):>9}{gemm:>6.2f}x{words}"
        )
    lines += textwrap.wrap(saturation_words(machine), _WIDTH)
    return "\n".join(line.rstrip() for line in lines)


def _peak_rates(machine: Machine) -> str:
    sides = [rates for rates in (machine.single, machine.several) if rates is not None]
    titles = ["1 thread" if rates.threads == 1 else f"{rates.threads} threads" for rates in sides]
    lines = [
        f"{'peaks':<20}" + "".join(f"{title:>27}" for title in titles),
        f"{'multiply-adds':<20}" + "".join(f"{'fp32':>10}{'int8':>10}{'gain':>7}" for _ in sides),
    ]
    for kind in (rates.kind for rates in machine.single.kinds):
        line = f"  {KIND_NAMES[kind]:<18}"
        for rates in sides:
            own = rates.of(kind)
            line += f"{_rate(own.fp32):>10}{_rate(own.int8):>10}{own.gain:>6.2f}x"
        lines.append(line)
    if any(rates.of("first").rewritten for rates in sides):
        lines.append("The first layer's int8 peak is that of the rewrite space-to-depth.")
    best = max(1.0, *(rates.gain for rates in machine.single.kinds))
    lines.append(f"int8 is expected to gain {best:.1f}x here at most, on one thread.")
    return "\n".join(lines)


def _expectation(expectation: Expectation, machine: Machine) -> str:
    total = sum(share.fp32_ns for share in expectation.kinds)
    lines = [
        *textwrap.wrap(expectation_line(expectation, machine), _WIDTH),
        f"  {'':<18}{'layers':>8}{'multiply-adds':>15}{'of fp32 time':>14}{'expected':>10}",
    ]
    for share in expectation.kinds:
        count = f"{share.multiply_adds / 1e6:.1f} M"
        part = f"{100 * share.fp32_ns / total:.0f} %"
        lines.append(f"  {KIND_NAMES[share.kind]:<18}{share.layers:>8}{count:>15}{part:>14}{share.gain:>9.2f}x")
    if any(share.gain < 1 for share in expectation.kinds):
        lines.append("Layers that gain nothing from int8 are assumed to stay in fp32.")
    lines += textwrap.wrap(
        "By table: " + "; ".join(estimate_words(estimate) for estimate in expectation.elsewhere) + ".", _WIDTH
    )
    return "\n".join(lines)


def _layers(layers: Sequence[LayerGain], peak_rates: PeakRates, memory_rate: float) -> str:
    best = max(layers, key=lambda layer: layer.gain)
    name = _short(best.name, _SHORT)
    lines = [f"Gains most: {name}, {best.gain:.2f}x where {best.expected:.2f}x is expected."]
    more = sorted((layer for layer in layers if layer.surpasses), key=lambda layer: -layer.gain / layer.expected)
    if not more:
        return "\n".join([*lines, "No layer gains over 10 % more than expected."])
    lines.append(f"{'over 10 % more than expected':<40}{'gain':>8}{'expected':>10}")
    for layer in more[:_LISTED]:
        equal = "" if layer.layers == 1 else f" and {layer.layers - 1} more"
        name = _short(layer.name, _NAME - len(equal)) + equal
        lines.append(f"  {name:<38}{layer.gain:>7.2f}x{layer.expected:>9.2f}x")
        lines.append(f"    {surpassing_reason(layer, peak_rates, memory_rate)}")
    if len(more) > _LISTED:
        lines.append(f"  … and {len(more) - _LISTED} more")
    return "\n".join(lines)


def _wrapped(lines: Sequence[str]) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, _WIDTH)) for line in lines)


def _short(name: str, width: int = _NAME) -> str:
    """Return a name without what exporters put around it: ``block`` of ``/block/Conv``."""
    before, _, last = name.removeprefix("/").rpartition("/")
    name = before if before and last in WEIGHTED else name
    return name if len(name) <= width else "…" + name[-(width - 1) :]


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.0f} G/s" if rate >= 9.95e9 else f"{rate / 1e9:.1f} G/s"
