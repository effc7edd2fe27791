"""onnx_ir against our own view of a graph: bytes after a round trip, import time, and two rewrites in both.

    pip install onnx_ir
    python benchmarks/graph_views.py RUN/*.onnx RUN/work/*.onnx RUN/work/*/*.onnx ...

Besides the models given, 160 small random QLinear graphs of the tests are read, written and rewritten.
The two rewrites below are ``channel-padding`` and ``float-head`` written on onnx_ir, as short as we could. Prints the
figures of docs/decisions/graph.md.
"""

# The ports are as short as they can be, so they do not check what their own patterns imply.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import HealthCheck, given, seed, settings
from onnx import ModelProto
from onnx_ir.passes.common import RemoveUnusedNodesPass

from quantize.formats import canonical
from quantize.graph.identity import graph_sha256
from quantize.graph.view import Graph
from quantize.rewrites.registry import REWRITES
from tests.formats.small_graphs import qlinear_graphs

CHEAP = (
    *("Softmax", "LogSoftmax", "GlobalAveragePool", "ReduceMean", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
    *("Identity", "Dropout", "Transpose"),
)


def is_op(node: ir.Node | None, *kinds: str) -> bool:
    """Return whether a node is one of these operators."""
    return node is not None and node.op_type in kinds and node.domain in ("", "com.microsoft")


def constant(value: ir.Value | None) -> np.ndarray[Any, Any] | None:
    """Return a value's constant, or None."""
    return None if value is None or value.const_value is None else value.const_value.numpy()


def add_constant(graph: ir.Graph, name: str, values: np.ndarray[Any, Any]) -> ir.Value:
    """Add an initializer under a free name."""
    while name in graph.initializers:
        name += "_1"
    value = ir.Value(name=name, const_value=ir.tensor(values, name=name))
    graph.register_initializer(value)
    return value


def add(
    graph: ir.Graph, before: ir.Node, kind: str, inputs: list[ir.Value | None], output: str, **given: Any
) -> ir.Value:
    """Add a node of one output before another."""
    node = ir.node(kind, inputs, attributes=given, name=f"{output}_{kind}")
    node.outputs[0].name = output
    graph.insert_before(before, node)
    return node.outputs[0]


def quantized(value: ir.Value | None) -> tuple[ir.Value, ir.Value, ir.Value] | None:
    """Return the integers, scale and zero point behind a float value, or None."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "DequantizeLinear") or constant(node.inputs[1]) is None:
        return None
    return node.inputs[0], node.inputs[1], node.inputs[2]


def channel_padding(model: ir.Model) -> list[str]:
    """Pad the input channels of Convs, as ``rewrites.channel_padding`` does."""
    graph, changed = model.graph, []
    for node in list(graph):
        source, weight = (quantized(value) for value in node.inputs[:2]) if is_op(node, "Conv") else (None, None)
        values = constant(weight[0]) if weight is not None else None
        if source is None or weight is None or values is None or values.ndim != 4:
            continue
        scale, zero_points = constant(weight[1]), constant(weight[2])
        missing, outputs = -values.shape[1] % 4, len(values)
        grouped = "group" in node.attributes and node.attributes["group"].as_int() != 1
        if not missing or grouped or outputs < 16 or outputs % 4 or constant(source[1]).size != 1:
            continue
        axis = None if scale.size == 1 else node.inputs[1].producer().attributes["axis"].as_int()
        if axis not in (None, 0):
            continue
        name = node.name
        pads = add_constant(graph, f"{name}_pads", np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64))
        zero = add_constant(graph, f"{name}_zero", np.array(0, np.float32))
        padded = add(graph, node, "Pad", [node.inputs[0], pads, zero], f"{name}_Pad_float")
        integers = add(graph, node, "QuantizeLinear", [padded, *source[1:]], f"{name}_Pad")
        value = add(graph, node, "DequantizeLinear", [integers, *source[1:]], f"{name}_Pad_dequantized")
        wide = np.empty((outputs, values.shape[1] + missing, *values.shape[2:]), values.dtype)
        wide[...] = zero_points.reshape(()) if axis is None else zero_points.reshape(-1, 1, 1, 1)
        wide[:, : values.shape[1]] = values
        held = add_constant(graph, f"{weight[0].name}_padded", wide)
        given = {} if axis is None else {"axis": axis}
        node.replace_input_with(0, value)
        node.replace_input_with(
            1, add(graph, node, "DequantizeLinear", [held, *weight[1:]], f"{held.name}_dequantized", **given)
        )
        changed.append(name)
    return changed


def float_head(model: ir.Model) -> list[str]:
    """Free the scores of rounding, as ``rewrites.float_head`` does."""
    graph, freed = model.graph, []
    waiting = list(graph.outputs)
    while waiting:
        maker = _free(graph, waiting.pop())
        if maker is not None:
            freed.append(maker.name)
            if maker.op_type in CHEAP:
                waiting.append(maker.inputs[0])
            elif maker.op_type == "Add":
                waiting += [operand for operand in maker.inputs if not _is_constant(operand)]
    return freed


def _free(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    dequantize = value.producer()
    quantize = dequantize.inputs[0].producer() if is_op(dequantize, "DequantizeLinear") else None
    maker = quantize.inputs[0].producer() if is_op(quantize, "QuantizeLinear") else None
    if maker is None or len(maker.outputs) != 1 or not _is_head(maker):
        return None
    values, zero_point, scale = quantize.inputs[0], constant(quantize.inputs[2]), constant(quantize.inputs[1])
    relu = maker.op_type not in CHEAP and scale.size == 1 and zero_point == np.iinfo(zero_point.dtype).min
    if value.is_graph_output() and values.is_graph_output():
        return None
    name, output = value.name, value.is_graph_output()
    value.replace_all_uses_with(values, replace_graph_outputs=True)  # keeps the place, not the name
    graph.remove(dequantize, safe=True)
    if not quantize.outputs[0].uses():
        graph.remove(quantize, safe=True)
    if output:
        values.name = name
    if relu:
        bounded = ir.node("Relu", [values], name=f"{maker.name}_Relu")
        values.replace_all_uses_with(bounded.outputs[0], replace_graph_outputs=True)
        bounded.replace_input_with(0, values)
        bounded.outputs[0].name, values.name = values.name, f"{values.name}_product"
        graph.insert_after(maker, bounded)
    return maker


def _is_head(maker: ir.Node) -> bool:
    if maker.domain:
        return False
    if maker.op_type == "Add":
        return any(_is_constant(operand) for operand in maker.inputs)
    return maker.op_type in CHEAP or maker.op_type in ("Gemm", "MatMul")


def _is_constant(value: ir.Value) -> bool:
    dequantize = value.producer()
    return constant(dequantize.inputs[0] if is_op(dequantize, "DequantizeLinear") else value) is not None


def round_trips(models: list[ModelProto]) -> None:
    """Print how many models come back as they were."""
    ours = theirs = otherwise = 0
    for model in models:
        made = ir.to_proto(ir.from_proto(model))
        theirs += graph_sha256(made) == graph_sha256(model)
        written = Graph(model).model()
        ours += graph_sha256(Graph(written).model()) == graph_sha256(written)
        del made.graph.value_info[:]
        otherwise += graph_sha256(_plain(made)) == graph_sha256(_plain(model))
    print(f"byte-equal after reading and writing: onnx_ir {theirs} of {len(models)}, our view (what it wrote) {ours}")
    print(f"onnx_ir without the shapes it adds, empty domains unset on both sides: {otherwise} of {len(models)}")


def _plain(model: ModelProto) -> ModelProto:
    plain = ModelProto()
    plain.CopyFrom(model)
    del plain.graph.value_info[:]
    for node in plain.graph.node:
        if not node.domain:
            node.ClearField("domain")
    return plain


def rewrites(models: list[ModelProto]) -> None:
    """Print whether both ports make the same operators."""
    for name, port in (("channel-padding", channel_padding), ("float-head", float_head)):
        ours = next(rewrite for rewrite in REWRITES if rewrite.name == name)
        matched = same = 0
        for source in models:
            model = canonical(source)
            graph, twin = Graph(model), ir.from_proto(model)
            changed = [*ours.apply(graph), *port(twin)]
            RemoveUnusedNodesPass()(twin)
            if changed:
                matched += 1
                same += _operators(graph.model()) == _operators(ir.to_proto(twin))
        print(f"{name}: changes {matched} of {len(models)} models; the same operators from both: {same}")


def _operators(model: ModelProto) -> list[str]:
    return sorted(node.op_type for node in model.graph.node)


def lines() -> None:
    """Print how long the ports are."""
    ported = {
        "channel_padding": (("_apply", "_rewrite"), (channel_padding,)),
        "float_head": (
            ("_apply", "_free", "_relu", "_is_head", "_constant"),
            (float_head, _free, _is_head, _is_constant),
        ),
    }
    for name, (parts, port) in ported.items():
        module = importlib.import_module(f"quantize.rewrites.{name}")
        ours, theirs = sum(_lines(getattr(module, part)) for part in parts), sum(map(_lines, port))
        print(f"{name}: {ours} lines on our view, {theirs} on onnx_ir")
    shared = sum(map(_lines, (is_op, constant, add_constant, add, quantized)))
    print(f"and {shared} lines between onnx_ir and both, without the checks of the parameters that formats/ has")


def _lines(function: Any) -> int:
    return len([line for line in inspect.getsource(function).splitlines() if line.strip()])


def import_times() -> None:
    """Print what importing costs."""
    for module in ("onnx_ir", "quantize.graph.view"):
        times = [_import_time(module) for _ in range(5)]
        print(f"import {module}, after onnx and numpy: {min(times):.2f} s")


def _import_time(module: str) -> float:
    code = f"import time, onnx, numpy; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def small_graphs() -> list[ModelProto]:
    """Return random QLinear graphs, the same each time."""
    drawn: list[ModelProto] = []

    @seed(13)
    @settings(max_examples=160, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(qlinear_graphs())
    def draw(case: tuple[ModelProto, Any]) -> None:
        drawn.append(case[0])

    draw()
    return drawn


if __name__ == "__main__":
    given_models = [onnx.load(name) for name in sys.argv[1:]]
    import_times()
    for models in filter(None, (given_models, small_graphs())):
        round_trips(models)
        rewrites(models)
    lines()
