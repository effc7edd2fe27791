from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from quantize.engines.native.search.live_tensors import last_uses, most_values
from quantize.engines.native.search.op_graph import op_graph

SHAPE = ["N", 2, 4, 4]


def branches():
    """A Conv whose output two Convs read, and the sum of theirs: three tensors of 32 values live at a time."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["wide"], "wide"),
        helper.make_node("Conv", ["wide", "w"], ["left"], "left"),
        helper.make_node("Conv", ["wide", "w"], ["right"], "right"),
        helper.make_node("Add", ["left", "right"], ["sum"], "add"),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["scores"], "flatten"),
    ]
    inner = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("wide", "left", "right", "sum")]
    graph = helper.make_graph(
        nodes,
        "branches",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "w")],
        value_info=[*inner, helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["N", 2, 1, 1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_tensor_is_kept_until_the_last_node_that_takes_it_and_the_scores_to_the_end():
    model = branches()
    last = last_uses(model, op_graph(model, ("Conv",)))
    assert last["wide"] == 2
    assert last["left"] == last["right"] == 3
    assert last["scores"] == len(model.graph.node)


def test_the_tensors_that_live_at_a_time_are_counted():
    model = branches()
    assert most_values(model, op_graph(model, ("Conv",))) == 3 * 32
