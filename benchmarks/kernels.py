"""What onnxruntime's int8 kernels reach on this CPU, and whether a layer gains more than ``quantize machine`` expects.

    python benchmarks/kernels.py SQUEEZENET.onnx EFFICIENTNET.onnx [--rounds 60] [--threads 1] [--output TABLES.md]
    python benchmarks/held_to_avx2 python benchmarks/kernels.py SQUEEZENET.onnx EFFICIENTNET.onnx

Each layer runs alone, in fp32 and in every int8 arithmetic, with channels last as inside a model; times are the
profiler's, of the product's node. The arithmetics of a layer take turns in one process; a ratio is the median over
turns of fp32's time over int8's, with its 95 % interval. The second table holds every Conv and Gemm of the fp32 models
against what ``quantize machine`` expects of its kind; both take the shortest run, for a peak is what nothing disturbed.
With benchmarks/held_to_avx2 before it, all of it is of this CPU's AVX2 kernels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantize.graph.cleaning import name_nodes
from quantize.measurement.machine.cpu_measurement import Machine
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.kernels import saturates
from quantize.measurement.machine.layer_gains import LayerGain, measured_gains, surpassing_reason
from quantize.measurement.machine.layer_shapes import KIND_NAMES, ConvShape, GemmShape, Shape
from quantize.measurement.machine.measure_cpu import this_machine
from quantize.measurement.machine.model_layers import model_layers
from quantize.measurement.machine.probe import ARITHMETICS, INTEGER, Probe
from quantize.measurement.machine.probe_rates import counted_runs, probe_times
from quantize.measurement.timing.speedup import speedup
from quantize.models.prepare import prepare

_SHAPES: tuple[Shape, ...] = (
    ConvShape(64, 128, (1, 1), (28, 28)),
    ConvShape(256, 256, (1, 1), (14, 14)),
    ConvShape(512, 1000, (1, 1), (13, 13)),
    ConvShape(16, 64, (3, 3), (55, 55), pads=(1, 1, 1, 1)),
    ConvShape(64, 256, (3, 3), (13, 13), pads=(1, 1, 1, 1)),
    ConvShape(144, 144, (3, 3), (56, 56), pads=(1, 1, 1, 1), group=144),
    ConvShape(240, 240, (5, 5), (28, 28), pads=(2, 2, 2, 2), group=240),
    ConvShape(480, 480, (3, 3), (14, 14), pads=(1, 1, 1, 1), group=480),
    ConvShape(3, 64, (3, 3), (224, 224), strides=(2, 2)),
    ConvShape(3, 32, (3, 3), (224, 224), strides=(2, 2), pads=(0, 0, 1, 1)),
    GemmShape(1, 1280, 1000),
    GemmShape(128, 512, 512),
)


def main() -> int:
    """Measure, print both tables, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="fp32 models")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    machine = this_machine(asked.threads, again=True).machine
    lines = [heading(machine, asked.threads), "", *kernel_table(asked.threads, asked.rounds)]
    for model in asked.models:
        lines += ["", *model_table(model, machine, asked.threads, asked.rounds)]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if asked.output is not None:
        asked.output.write_text(text, encoding="utf-8")
    return 0


def heading(machine: Machine, threads: int) -> str:
    """Return where the tables were measured."""
    on = "1 thread" if threads == 1 else f"{threads} threads"
    return f"{machine.cpu_model}, class {machine.cpu_class}, onnxruntime {machine.onnxruntime}, {on}."


def kernel_table(threads: int, rounds: int) -> list[str]:
    """Return a row for each layer: fp32's rate, and the gain of each int8 arithmetic with its interval."""
    names = [arithmetic.upper().replace("BITS", "bits") for arithmetic in INTEGER]
    lines = ["| layer | fp32, G/s | " + " | ".join(names) + " |", "|---|---:|" + "---:|" * len(names)]
    for shape in _SHAPES:
        taken = probe_times(
            [Probe(shape, arithmetic) for arithmetic in ARITHMETICS], threads, rounds=rounds, max_seconds=60
        )
        levels = [_levels(times, threads) for times in taken]
        words = [_gain(levels[0], level) for level in levels[1:]]
        marks = ["!" if saturates(shape.kind, arithmetic) else "" for arithmetic in INTEGER]
        rate = shape.multiply_adds / min(taken[0])
        cells = " | ".join(f"{word}{mark}" for word, mark in zip(words, marks, strict=True))
        lines.append(f"| {described(shape)} | {rate:.0f} | {cells} |")
    return [*lines, "", "`!`: sums of the largest values saturate. Ratios: fp32 time over int8 time."]


def model_table(path: Path, machine: Machine, threads: int, rounds: int) -> list[str]:
    """Return what a model is expected to gain, its layer that gains most, and those that gain over 10 % more."""
    with tempfile.TemporaryDirectory() as folder:
        proto = prepare(path, Path(folder) / "fp32.onnx").proto()
    name_nodes(proto.graph.node)
    layers = model_layers(proto)
    expectation = expected(path.stem, layers, machine, threads)
    peak_rates = machine.peak_rates(threads)
    gains = measured_gains(layers, peak_rates, partial(probe_times, rounds=max(4, rounds // 4), max_seconds=30))
    best = max((gain for gain in gains if gain.kind != "gemm"), key=lambda gain: gain.gain)
    more = sorted((gain for gain in gains if gain.surpasses), key=lambda gain: -gain.gain / gain.expected)
    whole = "" if expectation is None else f"{expectation.gain:.2f}x expected in its products. "
    lines = textwrap.wrap(
        f"{path.stem}: {whole}The Conv that gains most: {best.name}, {best.gain:.2f}x, where "
        f"{best.expected:.2f}x is expected of its kind. {len(more)} of {len(gains)} shapes gain over 10 % more than "
        "expected" + (":" if more else "."),
        120,
    )
    if not more:
        return lines
    lines += ["", "| layer | kind | gains | expected | reason |", "|---|---|---:|---:|---|"]
    return lines + [_row(gain, surpassing_reason(gain, peak_rates, machine.memory_rate)) for gain in more]


def described(shape: Shape) -> str:
    """Return a shape in a few words."""
    if isinstance(shape, GemmShape):
        return f"Gemm {shape.rows}x{shape.inputs} by {shape.inputs}x{shape.outputs}"
    kernel = "x".join(map(str, shape.kernel))
    stride = "" if shape.strides == (1, 1) else f"/{shape.strides[0]}"
    words = {"depthwise": "depthwise ", "first": "first "}.get(shape.kind, "")
    return (
        f"{words}Conv {kernel}{stride}, {shape.inputs} to {shape.outputs} channels of {shape.size[0]}x{shape.size[1]}"
    )


def _row(gain: LayerGain, reason: str) -> str:
    return f"| {gain.name} | {KIND_NAMES[gain.kind]} | {gain.gain:.2f}x | {gain.expected:.2f}x | {reason} |"


def _levels(times: Sequence[int], threads: int) -> NDArray[np.float64]:
    """Return the logarithm of the median of each turn."""
    turns = np.reshape(times, (-1, counted_runs(threads)))
    return np.asarray(np.log(np.median(turns, axis=1)), np.float64)


def _gain(fp32: NDArray[np.float64], int8: NDArray[np.float64]) -> str:
    gain = speedup(fp32 - int8, baseline="fp32", candidate="int8")
    if gain is None:
        return "–"
    interval = "" if gain.low is None or gain.high is None else f" [{gain.low:.2f}, {gain.high:.2f}]"
    return f"{gain.ratio:.2f}x{interval}"


if __name__ == "__main__":
    sys.exit(main())
