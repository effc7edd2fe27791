"""The graph that reports keep for a picture."""

from __future__ import annotations

from onnx import TensorProto, helper

from quantize.report.graph import graph_section


def test_each_node_names_those_that_it_reads() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "first"),
        helper.make_node("Sigmoid", ["a"], ["b"], "second"),
        helper.make_node("Add", ["a", "b"], ["z"], "third"),
    ]
    section = graph_section(helper.make_model(helper.make_graph(nodes, "g", [value], [result])))
    assert section is not None
    assert [(node.name, node.op_type, node.inputs) for node in section.nodes] == [
        ("first", "Relu", ()),
        ("second", "Sigmoid", (0,)),
        ("third", "Add", (0, 1)),
    ]
