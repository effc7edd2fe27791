from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from quantize.graph.lone_norms import has_lone_norms, norms_as_convs
from quantize.graph.view import Graph
from tests.graph.small_models import after, model_of, noise, operators, run

NORM = {"scale": noise(3, 3), "shift": noise(4, 3), "mean": noise(5, 3), "var": noise(6, 3) ** 2 + np.float32(0.1)}
BY_CHANNEL = {"a": noise(7, 1, 3, 1, 1), "b": noise(8, 3, 1, 1)}


def node(op_type, inputs, output, **attributes):
    return helper.make_node(op_type, inputs, [output], **attributes)


def converted(nodes, constants):
    model = model_of([node("MaxPool", ["x"], "p", kernel_shape=[2, 2]), *nodes], constants)
    result = after(lambda graph: norms_as_convs(graph) or None, model)
    (before,), (scores,) = run(model), run(result)
    np.testing.assert_allclose(scores, before, rtol=1e-4, atol=1e-5)
    return result


def test_a_norm_that_no_conv_takes_up_becomes_a_depthwise_conv_of_its_name():
    norm = node("BatchNormalization", ["p", *NORM], "n")
    norm.name = "norm"
    result = converted([norm, node("Relu", ["n"], "y")], NORM)
    assert operators(result) == ["MaxPool", "Conv", "Relu"]
    conv = result.graph.node[1]
    assert conv.name == "norm"
    assert helper.get_node_attr_value(conv, "group") == 3


@pytest.mark.parametrize(
    "steps",
    [
        [("Mul", ["p", "a"]), ("Add", ["t0", "b"])],
        [("Sub", ["p", "b"]), ("Div", ["t0", "a"])],
        [("Sub", ["b", "p"]), ("Mul", ["a", "t0"]), ("Add", ["t1", "b"])],
    ],
)
def test_the_same_written_as_products_and_sums_becomes_one_too(steps):
    nodes = [
        node(op_type, inputs, "y" if at == len(steps) - 1 else f"t{at}") for at, (op_type, inputs) in enumerate(steps)
    ]
    assert operators(converted(nodes, BY_CHANNEL)) == ["MaxPool", "Conv"]


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Mul", ["p", "a"], "y")], BY_CHANNEL),
        (
            [node("Mul", ["p", "two"], "t"), node("Add", ["t", "two"], "y")],
            {"two": np.full((1, 3, 1, 1), 2, np.float32)},
        ),
        ([node("Mul", ["p", "rows"], "t"), node("Add", ["t", "rows"], "y")], {"rows": noise(1, 1, 1, 5, 1)}),
    ],
)
def test_a_single_product_and_what_is_not_by_channel_stay(nodes, constants):
    assert "Conv" not in operators(converted(nodes, constants))


def test_what_reads_the_image_itself_stays():
    model = model_of([node("BatchNormalization", ["x", *NORM], "y")], NORM)
    assert has_lone_norms(Graph.of(model))
    assert operators(after(lambda graph: norms_as_convs(graph) or None, model)) == ["BatchNormalization"]
