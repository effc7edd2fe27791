"""Redundant nodes and constants of a quantized graph."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from quantize.formats import canonical, to_qdq
from quantize.formats.parameters import add_dequantize, is_dequantize, is_quantize, node_parameters
from quantize.graph.view import Graph
from quantize.rewrites.redundant import REDUNDANT
from tests.formats.small_graphs import QLinearGraph, qlinear_graphs
from tests.rewrites.checks import Feeds, apply, assert_declared, assert_untouched, integer_types


@given(qlinear_graphs())
@settings(deadline=None, max_examples=30)
def test_any_graph_keeps_every_bit(case: tuple[ModelProto, Feeds]) -> None:
    source, feeds = case
    _, after = apply(REDUNDANT, source)
    assert_declared(REDUNDANT, source, after, feeds)


@st.composite
def padded_out(draw: st.DrawFn) -> tuple[ModelProto, Feeds, set[str]]:
    """Draw a QDQ model with inserted nodes that do nothing, whose names are drawn too, and one or two that may act."""
    source, feeds = draw(qlinear_graphs())
    graph = Graph(to_qdq(source))
    idle: set[str] = set()
    quantizes = [node for node in graph.sorted_nodes() if is_quantize(node) and node.input[0] not in graph.inputs]
    for number, quantize in enumerate(quantizes):
        by = node_parameters(graph, quantize)
        kind = draw(st.sampled_from(["nothing", "Identity", "Dropout", "Relu", "Clip", "pair"]))
        assert by is not None
        if kind == "nothing":
            continue
        if kind == "pair":
            middle = graph.fresh("middle")
            graph.add("QuantizeLinear", [quantize.input[0], *quantize.input[1:]], [middle], name=f"first_{number}")
            graph.set_input(quantize, 0, add_dequantize(graph, middle, by))
            continue
        more, does = [], kind == "Relu" and bool(by.low < 0)
        if kind == "Clip":
            wide = draw(st.booleans())
            ends = (by.low, by.high) if wide else (by.low / 2, by.high / 2)
            more = [graph.add_constant(f"end_{number}", np.array(end, np.float32)) for end in ends]
            does = True  # a wide one does nothing yet, but stays where its grid may change: see test_activation_bounds
        graph.add(kind, [quantize.input[0], *more], [between := graph.fresh("between")], name=f"{kind}_{number}")
        graph.set_input(quantize, 0, between)
        if not does:
            idle.add(f"{kind}_{number}")
    return graph.model(), feeds, idle


@given(padded_out())
@settings(deadline=None, max_examples=40)
def test_what_does_nothing_goes_from_any_graph_and_what_does_something_stays(
    case: tuple[ModelProto, Feeds, set[str]],
) -> None:
    source, feeds, idle = case
    _, after = apply(REDUNDANT, source)
    assert not idle & {node.name for node in after.graph.node}
    graph = Graph(after)
    for quantize in (node for node in graph.nodes if is_quantize(node)):
        before = graph.producer(quantize.input[0])
        if before is not None and is_dequantize(before):
            assert list(quantize.input[1:]) != list(before.input[1:])
    assert_declared(REDUNDANT, source, after, feeds)


def _between(*op_types: str, zero_point: int = 0) -> tuple[ModelProto, QLinearGraph]:
    """Return a QDQ model with nodes inserted between the first Conv and its QuantizeLinear."""
    build = QLinearGraph(seed=4)
    hidden = build.conv(build.quantized_input((1, 4, 6, 6)), 8, relu=zero_point == 0)
    source = to_qdq(build.model(build.conv(hidden, 3, kernel=1)))
    graph = Graph(source)
    conv = next(node for node in graph.sorted_nodes() if node.op_type == "Conv")
    quantize = graph.consumers(conv.output[0])[0]
    name = conv.output[0]
    for op_type in op_types:
        inner = graph.fresh("between")
        graph.add(op_type, [name], [inner], name=op_type)
        name = inner
    graph.set_input(quantize, 0, name)
    return graph.model(), build


def test_relu_and_identity_and_dropout_that_do_nothing_are_gone() -> None:
    source, build = _between("Identity", "Dropout", "Relu")
    names, after = apply(REDUNDANT, source)
    assert "Relu" in names
    assert not {"Identity", "Dropout", "Relu"} & set(integer_types(after))
    assert_declared(REDUNDANT, source, after, build.images())


def test_a_relu_that_does_something_stays() -> None:
    source, _ = _between("Relu", zero_point=100)
    names, after = apply(REDUNDANT, source)
    assert "Relu" not in names
    assert [node.op_type for node in after.graph.node].count("Relu") == 1


def test_quantizing_again_by_equal_parameters_is_gone() -> None:
    build = QLinearGraph()
    hidden = build.conv(build.quantized_input((1, 4, 6, 6)), 8)
    build.add("DequantizeLinear", build.triple(hidden), "middle")
    again = type(hidden)(build.name("q"), hidden.shape, hidden.scale, hidden.zero_point)
    build.add("QuantizeLinear", ["middle", *build.scales(again)], again.name)
    source = build.model(build.conv(again, 3, kernel=1))
    _, after = apply(REDUNDANT, source)
    assert integer_types(after) == ["QuantizeLinear", "QLinearConv", "QLinearConv", "DequantizeLinear"]
    assert_declared(REDUNDANT, source, after, build.images())


def test_quantizing_again_by_other_parameters_stays() -> None:
    build = QLinearGraph()
    hidden = build.conv(build.quantized_input((1, 4, 6, 6)), 8)
    build.add("DequantizeLinear", build.triple(hidden), "middle")
    again = type(hidden)(build.name("q"), hidden.shape, hidden.scale * 1.5, hidden.zero_point)
    build.add("QuantizeLinear", ["middle", *build.scales(again)], again.name)
    source = build.model(build.conv(again, 3, kernel=1))
    _, after = apply(REDUNDANT, source)
    assert integer_types(after).count("QuantizeLinear") == 2
    assert_declared(REDUNDANT, source, after, build.images())


def test_equal_constants_have_one_name_and_unused_ones_none() -> None:
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 8))
    source.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "unused"))
    _, after = apply(REDUNDANT, source)
    values = [
        (tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes())
        for tensor in after.graph.initializer
    ]
    assert len(values) == len(set(values))
    assert "unused" not in {tensor.name for tensor in after.graph.initializer}


def test_a_declared_output_is_never_renamed() -> None:
    build = QLinearGraph()
    source = build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 8))
    source.graph.node.append(helper.make_node("Identity", [source.graph.output[0].name], ["scores"], name="last"))
    source.graph.output[0].name = "scores"
    _, after = apply(REDUNDANT, source)
    assert [value.name for value in after.graph.output] == ["scores"]
    assert_declared(REDUNDANT, source, after, build.images())


def test_a_graph_with_nothing_redundant_is_left_alone() -> None:
    build = QLinearGraph()
    _, clean = apply(REDUNDANT, build.model(build.conv(build.quantized_input((1, 4, 6, 6)), 8)))
    assert_untouched(REDUNDANT, clean)
    assert canonical(clean).SerializeToString(deterministic=True) == clean.SerializeToString(deterministic=True)
