"""Integer Convs as onnxruntime's own Conv and as its general product (rewrite `matrix-units`): layers, whole models.

    python benchmarks/conv_products.py                       layers alone, one thread
    python benchmarks/conv_products.py MODEL-int8.onnx …     models without and with the rewrite
    … --threads 2

Prints times, and how many times as fast the general product is: the median of blocks that take turns, for models with
the range of the middle eight tenths. Under `benchmarks/without_amx.py` neither form has AMX.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from quantize.formats import canonical, to_qlinear
from quantize.graph.view import Graph
from quantize.measurement.machine.layer_shapes import ConvShape
from quantize.measurement.machine.matrix_units import as_general_product
from quantize.measurement.machine.probe import Probe, probe_graph
from quantize.models.session import open_session
from quantize.rewrites.matrix_units import MATRIX_UNITS

BLOCKS, RUNS = 30, 4
_SIDES = (7, 14, 28, 56)
_CHANNELS = {1: (128, 256, 512, 1024, 2048), 3: (32, 64, 128, 256, 512)}
_OUTPUTS = {1: (64, 256, 1024), 3: (64, 128, 256, 512)}
_MOST = 4e8
"""Multiply-adds of the largest layer."""


def medians(forms: Sequence[onnx.ModelProto], data: npt.NDArray[Any], threads: int) -> list[npt.NDArray[np.float64]]:
    """Return the microseconds of each block of each form; blocks take turns.

    On several threads none spins: two sessions' idle threads would take the cores from each other.
    """
    sessions = [open_session(form.SerializeToString(), threads=threads, spinning=threads == 1) for form in forms]
    name = sessions[0].get_inputs()[0].name
    times: list[list[float]] = [[] for _ in sessions]
    for _ in range(BLOCKS):
        for at, session in enumerate(sessions):
            session.run(None, {name: data})
            begin = perf_counter_ns()
            for _ in range(RUNS):
                session.run(None, {name: data})
            times[at].append((perf_counter_ns() - begin) / RUNS / 1e3)
    return [np.array(own) for own in times]


def layers(threads: int) -> None:
    """Print a line for each layer."""
    for kernel, sizes in _CHANNELS.items():
        for side in _SIDES:
            for channels in sizes:
                for outputs in _OUTPUTS[kernel]:
                    if channels * outputs * (kernel * side) ** 2 > _MOST:
                        continue
                    pads = (kernel // 2,) * 4
                    shape = ConvShape(channels, outputs, (kernel, kernel), (side, side), pads=pads)
                    graph, data = probe_graph(Probe(shape, "u8s8"))
                    own, product = map(np.median, medians([graph, as_general_product(graph)], data, threads))
                    said = f"{kernel}x{kernel}, {channels} to {outputs} channels of {side}x{side}"
                    print(f"{said}: {own:.0f} and {product:.0f} us, {own / product:.2f}", flush=True)


def model(path: Path, threads: int) -> None:
    """Print a line for a model."""
    source = canonical(onnx.load(path))
    graph = Graph(source)
    names = MATRIX_UNITS.apply(graph)
    if not names:
        print(f"{path.name}: no Conv that the rewrite takes, or it has been here already")
        return
    forms = [to_qlinear(one, opset=13) for one in (source, graph.model())]
    given = forms[0].graph.input[0].type.tensor_type
    shape = [dim.dim_value or 1 for dim in given.shape.dim]
    data = np.random.default_rng(0).standard_normal(shape).astype(onnx.helper.tensor_dtype_to_np_dtype(given.elem_type))
    own, product = medians(forms, data, threads)
    low, ratio, high = np.percentile(own / product, [10, 50, 90])
    took = f"{np.median(own) / 1e3:.2f} and {np.median(product) / 1e3:.2f} ms"
    print(f"{path.name}, {len(names)} Convs: {took}, {ratio:.3f} ({low:.2f} to {high:.2f})", flush=True)


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    for path in asked.models:
        model(path, asked.threads)
    if not asked.models:
        layers(asked.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
