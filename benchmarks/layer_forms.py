"""What a layer costs on this CPU in other forms than the one that our files have: linear layers, attention, late Convs.

    python benchmarks/layer_forms.py [--runs 300]

Microseconds, the least of interleaved runs of models of that layer alone, one thread: sizes of ViT-Tiny's blocks, and
of the Convs of ResNet-18 and -50 on seven pixels. Held to AVX2: `python benchmarks/held_to_avx2 python
benchmarks/layer_forms.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from quantize.graph.nodes import MICROSOFT
from quantize.models.session import open_session

_TOKENS, _SIZE, _HEADS = 197, 192, 3
_CHANNELS, _PIXELS = 512, 7
_GENERATOR = np.random.default_rng(0)
Node = tuple[str, list[str], str, dict[str, Any]]
Arrays = dict[str, NDArray[Any]]
Form = tuple[list[Node], Arrays]


def main() -> int:
    """Print a line for each layer and form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    sys.stdout.write("| layer | form | µs |\n|---|---|---|\n")
    for inner, outer in ((_SIZE, 3 * _SIZE), (_SIZE, 4 * _SIZE), (4 * _SIZE, _SIZE)):
        _table(f"linear, {inner} to {outer}", *linear(inner, outer), runs)
    _table("Gelu with a bias", *gelu(), runs)
    _table("attention", *attention(), runs)
    _table(f"3x3 Conv of {_CHANNELS} channels, {_PIXELS} pixels", *late_conv(), runs)
    return 0


def linear(inner: int, outer: int) -> tuple[dict[str, Form], Arrays]:
    """Return the forms of a linear layer of integers, and their constants."""
    weights = _integers((inner, outer), np.int8)
    constants: Arrays = {
        **_grids(outer),
        **{"w": weights, "kernel": np.ascontiguousarray(weights.T).reshape(outer, inner, 1, 1)},
        **{
            "rows": np.array([-1, inner]),
            "whole": np.array([1, _TOKENS, outer]),
            "pixels": np.array([1, 1, -1, inner]),
        },
    }
    product = ["x", "w", "xs", "ws", "xz", "wz"]
    forms: dict[str, list[Node]] = {
        "MatMulIntegerToFloat, Add": [
            ("MatMulIntegerToFloat", product, "p", {}),
            ("Add", ["p", "floats"], "y", {}),
        ],
        "MatMulIntegerToFloat with its bias": [("MatMulIntegerToFloat", [*product, "floats"], "y", {})],
        "Reshape, QGemm with a float result, Reshape": [
            ("Reshape", ["x", "rows"], "r", {}),
            ("QGemm", ["r", "xs", "xz", "w", "ws", "wz", "sums"], "g", {}),
            ("Reshape", ["g", "whole"], "y", {}),
        ],
        "QLinearConv, 1x1, a result of 8 bits": [
            ("Reshape", ["x", "pixels"], "r", {}),
            ("QLinearConv", ["r", "xs", "xz", "kernel", "ws", "wz", "xs", "xz", "sums"], "y", {"channels_last": 1}),
        ],
    }
    image = {"x": _integers((1, _TOKENS, inner), np.uint8)}
    return {name: (nodes, image) for name, nodes in forms.items()}, constants


def gelu() -> tuple[dict[str, Form], Arrays]:
    """Return the forms of a Gelu behind a linear layer."""
    image = {"x": _floats(1, _TOKENS, 4 * _SIZE)}
    forms: dict[str, list[Node]] = {
        "BiasGelu": [("BiasGelu", ["x", "bias"], "y", {})],
        "Gelu, its bias in the product": [("Gelu", ["x"], "y", {"domain": MICROSOFT})],
        "FastGelu with a bias": [("FastGelu", ["x", "bias"], "y", {})],
        "QuickGelu": [("QuickGelu", ["x"], "y", {"alpha": 1.702})],
    }
    return {name: (nodes, image) for name, nodes in forms.items()}, {"bias": _floats(4 * _SIZE)}


def attention() -> tuple[dict[str, Form], Arrays]:
    """Return the forms of attention between queries, keys and values in float."""
    heads = {name: _floats(1, _HEADS, _TOKENS, _SIZE // _HEADS) for name in "qkv"}
    tokens = {name: _floats(1, _TOKENS, _SIZE) for name in "qkv"}
    nodes: list[Node] = [
        ("Transpose", ["k"], "t", {"perm": [0, 1, 3, 2]}),
        ("MatMul", ["q", "t"], "a", {}),
        ("Mul", ["a", "eighth"], "s", {}),
        ("Softmax", ["s"], "p", {"axis": -1}),
        ("MatMul", ["p", "v"], "y", {}),
    ]
    forms: dict[str, Form] = {
        "MatMul, Softmax, MatMul": (nodes, heads),
        "MultiHeadAttention": ([("MultiHeadAttention", ["q", "k", "v"], "y", {"num_heads": _HEADS})], tokens),
    }
    return forms, {"eighth": np.array(0.125, np.float32)}


def late_conv() -> tuple[dict[str, Form], Arrays]:
    """Return the forms of a Conv whose weights are more than a second cache holds."""
    kernel, half = _integers((_CHANNELS, _CHANNELS, 3, 3), np.int8), _CHANNELS // 2
    same = {"channels_last": 1, "pads": [1, 1, 1, 1]}
    many = 9 * _CHANNELS
    constants: Arrays = {
        **_grids(_CHANNELS),
        **{"kernel": kernel, "first": kernel[:half], "second": kernel[half:]},
        **{"wide": kernel.reshape(_CHANNELS, many, 1, 1), "matrix": _integers((many, _CHANNELS), np.int8)},
        **{"half_s": np.full(half, 0.001, np.float32), "half_z": np.zeros(half, np.int8)},
        **{"half_sums": np.zeros(half, np.int32), "rows": np.array([_PIXELS**2, many])},
    }
    image = {"x": _integers((1, _PIXELS, _PIXELS, _CHANNELS), np.uint8)}
    gathered = {"x": _integers((1, _PIXELS, _PIXELS, many), np.uint8)}

    def conv(weights: str, output: str, by: list[str], more: dict[str, Any]) -> Node:
        return ("QLinearConv", ["x", "xs", "xz", weights, by[0], by[1], "xs", "xz", by[2]], output, more)

    whole, halves = ["ws", "wz", "sums"], ["half_s", "half_z", "half_sums"]
    product = ["r", "xs", "xz", "matrix", "ws", "wz", "xs", "xz"]
    forms: dict[str, Form] = {
        "one Conv": ([conv("kernel", "y", whole, same)], image),
        "two Convs of half of the outputs, Concat": (
            [
                conv("first", "a", halves, same),
                conv("second", "b", halves, same),
                ("Concat", ["a", "b"], "y", {"axis": 3}),
            ],
            image,
        ),
        "1x1 on nine times the channels, without the copies": (
            [conv("wide", "y", whole, {"channels_last": 1})],
            gathered,
        ),
        "QLinearMatMul of the same": (
            [("Reshape", ["x", "rows"], "r", {}), ("QLinearMatMul", product, "y", {})],
            gathered,
        ),
    }
    return forms, constants


def _table(layer: str, forms: Mapping[str, Form], constants: Arrays, runs: int) -> None:
    sessions = {name: (_session(nodes, constants, image), image) for name, (nodes, image) in forms.items()}
    least = dict.fromkeys(sessions, float("inf"))
    for _number in range(runs):
        for name, (session, image) in sessions.items():
            session.run(None, image)  # what the others put out of the caches comes back
            start = perf_counter_ns()
            session.run(None, image)
            least[name] = min(least[name], (perf_counter_ns() - start) / 1e3)
    for name, time in least.items():
        sys.stdout.write(f"| {layer} | {name} | {time:.1f} |\n")


def _session(nodes: list[Node], constants: Arrays, image: Arrays) -> Any:
    own = {"MatMulIntegerToFloat", "QGemm", "QLinearConv", "BiasGelu", "FastGelu", "QuickGelu", "MultiHeadAttention"}
    made = [
        helper.make_node(kind, inputs, [output], **{"domain": MICROSOFT if kind in own else "", **attributes})
        for kind, inputs, output, attributes in nodes
    ]
    read = {name for node in made for name in node.input}
    kept = [numpy_helper.from_array(values, name) for name, values in constants.items() if name in read]
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in image.items()
    ]
    integers = made[-1].op_type in ("QLinearConv", "QLinearMatMul", "Concat")
    kind = TensorProto.UINT8 if integers else TensorProto.FLOAT
    graph = helper.make_graph(made, "layer", given, [helper.make_tensor_value_info("y", kind, None)], kept)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return open_session(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString(), threads=1)


def _grids(columns: int) -> Arrays:
    scales = _GENERATOR.uniform(0.001, 0.01, columns).astype(np.float32)
    return {
        **{"xs": np.array(0.02, np.float32), "xz": np.array(120, np.uint8)},
        **{"ws": scales, "wz": np.zeros(columns, np.int8)},
        **{"floats": _floats(columns), "sums": np.zeros(columns, np.int32)},
    }


def _floats(*shape: int) -> NDArray[Any]:
    return _GENERATOR.standard_normal(shape).astype(np.float32)


def _integers(shape: tuple[int, ...], kind: type[np.integer[Any]]) -> NDArray[Any]:
    low, high = (-127, 127) if kind is np.int8 else (0, 255)
    return _GENERATOR.integers(low, high, shape).astype(kind)


if __name__ == "__main__":
    sys.exit(main())
