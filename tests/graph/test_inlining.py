from __future__ import annotations

import pytest
from onnx import ModelProto, helper

from quantize.errors import ModelError
from quantize.graph.inlining import without_functions


def calling(inputs: list[str]) -> ModelProto:
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("f", 1)]
    graph = helper.make_graph([helper.make_node("F", inputs, ["y"], domain="f")], "g", [], [])
    made = helper.make_model(graph, opset_imports=opsets)
    body = [helper.make_node("Relu", ["a"], ["b"])]
    made.functions.append(helper.make_function("f", "F", ["a"], ["b"], body, opsets[:1]))
    return made


def test_functions_are_written_out() -> None:
    assert [node.op_type for node in without_functions(calling(["x"])).graph.node] == ["Relu"]


def test_a_call_with_too_many_inputs_is_refused() -> None:
    with pytest.raises(ModelError, match="functions cannot be written out"):
        without_functions(calling(["x", "y", "z"]))
