"""What computes something for a few nodes alone."""

from __future__ import annotations

from onnx import TensorProto, helper

from quantize.graph.private_makers import with_private_makers
from quantize.graph.view import Graph


def norm() -> Graph:
    """Return ``r = relu(conv(x))``, ``y = r / sqrt(r * r)``, its nodes named after what they give."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "c"),
        helper.make_node("Relu", ["c"], ["r"], "r"),
        helper.make_node("Mul", ["r", "r"], ["square"], "square"),
        helper.make_node("Sqrt", ["square"], ["root"], "root"),
        helper.make_node("Div", ["r", "root"], ["y"], "y"),
    ]
    given, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy")
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [2.0])
    return Graph(helper.make_model(helper.make_graph(nodes, "norm", [given], [result], [weights])))


def test_what_leads_to_a_node_alone_goes_as_far_back_as_a_tensor_that_others_read() -> None:
    assert with_private_makers(norm(), ["y"]) == ("y", "root", "square")


def test_shared_makers_come_along_on_demand_those_with_weights_last() -> None:
    first = with_private_makers(norm(), ["y", "root", "square"], shared=True)
    assert first == ("y", "root", "square", "r")
    assert with_private_makers(norm(), first, shared=True) == (*first, "c")
    assert with_private_makers(norm(), (*first, "c"), shared=True) == (*first, "c")
