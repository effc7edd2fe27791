"""What a function of a quantized tensor costs on this CPU, in each form that onnxruntime has for it.

    python benchmarks/function_forms.py [--shape 1,96,56,56]

Nanoseconds for one value: the least of many runs of a model of that function alone, one thread. A table is looked up by
GatherElements. Held to AVX2: `python benchmarks/held_to_avx2 python benchmarks/function_forms.py`.
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter_ns

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.formats import to_qlinear
from quantize.graph.view import Graph
from quantize.models.session import open_session
from quantize.rewrites.function_table import FUNCTION_TABLE
from quantize.rewrites.hard_swish import HARD_SWISH
from quantize.rewrites.one_node_functions import ONE_NODE_FUNCTIONS
from quantize.rewrites.protocol import Rewrite
from quantize.rewrites.sigmoid_product import SIGMOID_PRODUCT

RUNS = 100
FORMS: tuple[tuple[str, Rewrite | None], ...] = (
    ("float nodes", None),
    ("one float node", ONE_NODE_FUNCTIONS),
    ("integer operators", HARD_SWISH),
    ("integer operators", SIGMOID_PRODUCT),
    ("table", FUNCTION_TABLE),
)
FUNCTIONS: dict[str, list[tuple[str, list[str], str]]] = {
    "HardSwish": [("HardSigmoid", ["v"], "g"), ("Mul", ["v", "g"], "f")],
    "SiLU": [("Sigmoid", ["v"], "g"), ("Mul", ["v", "g"], "f")],
    "Gelu": [
        ("Div", ["v", "root"], "d"),
        ("Erf", ["d"], "e"),
        ("Add", ["e", "one"], "a"),
        ("Mul", ["v", "a"], "m"),
        ("Mul", ["m", "half"], "f"),
    ],
    "Mish": [("Softplus", ["v"], "s"), ("Tanh", ["s"], "t"), ("Mul", ["v", "t"], "f")],
    "Elu": [("Elu", ["v"], "f")],
}


def main() -> int:
    """Print a line for each function and form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="1,96,56,56")
    shape = [int(size) for size in parser.parse_args().shape.split(",")]
    sys.stdout.write("| function | form | ns a value |\n|---|---|---|\n")
    for name in FUNCTIONS:
        model = quantized(name, shape)
        for form, rewrite in FORMS:
            graph = Graph(model)
            if rewrite is None or rewrite.apply(graph):
                sys.stdout.write(f"| {name} | {form} | {least_ns(to_qlinear(graph.model()), shape):.2f} |\n")
    return 0


def quantized(name: str, shape: list[int]) -> ModelProto:
    """Return a function between DequantizeLinear and QuantizeLinear, of uint8."""
    nodes = [("DequantizeLinear", ["x_q", "scale", "zero"], "v"), *FUNCTIONS[name]]
    nodes = [("QuantizeLinear", ["x", "scale", "zero"], "x_q"), *nodes, ("QuantizeLinear", ["f", "scale", "zero"], "q")]
    nodes.append(("DequantizeLinear", ["q", "scale", "zero"], "y"))
    slope = {"HardSigmoid": {"alpha": 1 / 6}}
    made = [
        helper.make_node(kind, inputs, [output], f"{kind}_{output}", **slope.get(kind, {}))
        for kind, inputs, output in nodes
    ]
    numbers = {"scale": 0.05, "root": 2**0.5, "one": 1.0, "half": 0.5}
    constants = [numpy_helper.from_array(np.float32(value), key) for key, value in numbers.items()]
    constants.append(numpy_helper.from_array(np.uint8(100), "zero"))
    ends = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key in ("x", "y")]
    graph = helper.make_graph(made, name, ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def least_ns(model: ModelProto, shape: list[int]) -> float:
    """Return the nanoseconds for one value, without those of the QuantizeLinear and DequantizeLinear at the ends."""
    alone = Graph(model)
    ends = [node for node in alone.nodes if alone.inputs[0] in node.input or alone.outputs[0] in node.output]
    first, last = ends[0].output[0], ends[-1].input[0]
    alone.remove(ends)
    bare = alone.proto
    bare.input[0].name, bare.output[0].name = first, last
    for value in (bare.input[0], bare.output[0]):
        value.type.tensor_type.elem_type = TensorProto.UINT8
    session = open_session(alone.model().SerializeToString(), threads=1)
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    times = []
    for _ in range(RUNS):
        start = perf_counter_ns()
        session.run(None, {first: values})
        times.append(perf_counter_ns() - start)
    return min(times) / values.size


if __name__ == "__main__":
    sys.exit(main())
