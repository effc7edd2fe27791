"""What an AveragePool between quantized tensors costs on this CPU, in each form (rewrite `average-as-conv`).

    python benchmarks/pool_forms.py [--threads 2]

Microseconds of a pool with a Conv of 1x1 on either side, so that it is laid out as in a network: the median of blocks
that take turns. Integers: onnxruntime's QLinearAveragePool. Float: kept there by a Mul behind it; onnxruntime puts
it on integers otherwise. Held to AVX2: `python benchmarks/held_to_avx2 python benchmarks/pool_forms.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from conv_products import medians
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import canonical, to_qlinear
from quantize.graph.view import Graph
from quantize.rewrites.average_as_conv import AVERAGE_AS_CONV

BEFORE, BEHIND = 32, 64


class Pool(NamedTuple):
    """A pool of a network: channels, side of the map, and the windows."""

    where: str
    channels: int
    side: int
    windows: dict[str, Any]


_BORDER = {"kernel_shape": [3, 3], "pads": [1] * 4}
POOLS = (
    Pool("Inception-v3 (Keras)", 192, 35, _BORDER),
    Pool("Inception-v3 (PyTorch)", 192, 35, {**_BORDER, "count_include_pad": 1}),
    Pool("Inception-v3 (Keras)", 768, 17, _BORDER),
    Pool("Inception-v3 (PyTorch)", 768, 17, {**_BORDER, "count_include_pad": 1}),
    Pool("Inception-v3 (Keras)", 2048, 8, _BORDER),
    Pool("DenseNet-121", 128, 56, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Pool("DenseNet-121", 512, 14, {"kernel_shape": [2, 2], "strides": [2, 2]}),
)


def main() -> int:
    """Print a line for each pool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    sys.stdout.write("| pool | padding counts | integers | float | Conv of ones |\n|---|---|---:|---:|---:|\n")
    for pool in POOLS:
        whole = between_convs(pool, in_float=False)
        graph = Graph(canonical(whole))
        AVERAGE_AS_CONV.apply(graph)
        forms = [to_qlinear(form) for form in (whole, between_convs(pool, in_float=True), graph.model())]
        image = np.random.default_rng(1).random((1, BEFORE, pool.side, pool.side), np.float32)
        times = " | ".join(f"{np.median(blocks):.0f} µs" for blocks in medians(forms, image, threads))
        padded = "–" if "pads" not in pool.windows else "yes" if "count_include_pad" in pool.windows else "no"
        size = f"{pool.windows['kernel_shape'][0]}x{pool.windows['kernel_shape'][1]}"
        sys.stdout.write(f"| {pool.where}: {size}, {pool.channels} of {pool.side}x{pool.side} | {padded} | {times} |\n")
        sys.stdout.flush()
    return 0


def between_convs(pool: Pool, *, in_float: bool) -> ModelProto:
    """Return Conv, pool, Conv as QDQ, all of uint8 by int8."""
    random = np.random.default_rng(0)
    constants = {"scale": np.float32(0.02), "zero": np.uint8(0), "share": np.float32(0.01), "none": np.int8(0)}
    nodes = []

    def add(op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op_type, inputs, [output], f"{output}_{op_type}", **attributes))
        return output

    def held(name: str) -> str:
        integers = add("QuantizeLinear", [name, "scale", "zero"], f"{name}_integers")
        return add("DequantizeLinear", [integers, "scale", "zero"], f"{name}_held")

    def conv(name: str, output: str, given: int, made: int) -> str:
        constants[f"{output}_weights"] = random.integers(-20, 20, (made, given, 1, 1)).astype(np.int8)
        weights = add("DequantizeLinear", [f"{output}_weights", "share", "none"], f"{output}_w")
        return held(add("Conv", [name, weights], output))

    now = conv(held("x"), "a", BEFORE, pool.channels)
    now = add("AveragePool", [now], "pooled", **pool.windows)
    if in_float:
        constants["nearly_one"] = np.float32(1 + 1e-6)
        now = add("Mul", [now, "nearly_one"], "scaled")
    conv(held(now), "y", pool.channels, BEHIND)
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, BEFORE, pool.side, pool.side]),
        helper.make_tensor_value_info("y_held", TensorProto.FLOAT, [1, BEHIND, "height", "width"]),
    ]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "pool", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


if __name__ == "__main__":
    raise SystemExit(main())
