"""A model without its constants keeps everything else."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantize.graph.shell import without_constants


def _model() -> onnx.ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(3, np.float32), "of the branch")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "weights"], ["sum"], "add"),
            helper.make_node("If", ["condition"], ["y"], "if", then_branch=inner, else_branch=inner),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.arange(3, dtype=np.float32), "weights"),
            numpy_helper.from_array(np.array(True), "condition"),
        ],
        doc_string="of the graph",
        value_info=[helper.make_tensor_value_info("sum", TensorProto.FLOAT, [3])],
    )
    function = helper.make_function(
        "own", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)], functions=[function]
    )
    model.metadata_props.add(key="role", value="fp32")
    model.doc_string, model.producer_version, model.model_version = "of the model", "3", 7
    return model


def test_only_the_main_graphs_constants_are_missing():
    model = _model()
    shell = without_constants(model)
    assert not shell.graph.initializer
    shell.graph.initializer.extend(model.graph.initializer)
    assert shell == model


def test_the_given_model_is_not_changed():
    model = _model()
    without_constants(model).graph.node[0].input[1] = "another"
    assert model == _model()


def test_an_empty_model_gives_an_empty_one():
    assert without_constants(onnx.ModelProto()) == onnx.ModelProto()
