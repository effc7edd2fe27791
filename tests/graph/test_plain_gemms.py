from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from quantize.graph.nodes import attribute
from quantize.graph.plain_gemms import plain_gemms
from tests.graph.small_models import after, model_of, noise, run

OUTPUTS = 5


def gemm(bias: Any, **attributes: Any) -> Any:
    constants = {"w": noise(1, *((OUTPUTS, 108) if attributes.get("transB") else (108, OUTPUTS)))}
    if bias is not None:
        constants["b"] = bias
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Gemm", ["f", *constants], ["y"], **attributes),
    ]
    return model_of(nodes, constants)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, OUTPUTS), (OUTPUTS,)])
@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.25, "beta": 3.0, "transB": 1}])
def test_factors_and_biases_that_broadcast_are_spelled_out(shape: tuple[int, ...], attributes: Any) -> None:
    model = gemm(noise(2, *shape), **attributes)
    plain = after(plain_gemms, model)
    np.testing.assert_allclose(run(plain)[0], run(model)[0], rtol=1e-5, atol=1e-5)
    (node,) = [node for node in plain.graph.node if node.op_type == "Gemm"]
    assert (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)) == (1.0, 1.0)
    biases = {tensor.name: numpy_helper.to_array(tensor) for tensor in plain.graph.initializer}
    assert biases[node.input[2]].shape == (OUTPUTS,)


@pytest.mark.parametrize("bias", [noise(2, OUTPUTS), None])
def test_a_plain_gemm_stays_as_it_is(bias: Any) -> None:
    model = gemm(bias, transB=1, alpha=1.0, beta=1.0)
    assert after(plain_gemms, model).graph.node == model.graph.node


@pytest.mark.parametrize("shape", [(2, 1), (2, OUTPUTS)])
def test_a_bias_that_differs_from_row_to_row_is_added_behind(shape: tuple[int, int]) -> None:
    model = gemm(noise(2, *shape), beta=0.5)
    plain = after(plain_gemms, model)
    assert [(node.op_type, len(node.input)) for node in plain.graph.node] == [("Flatten", 1), ("Gemm", 2), ("Add", 2)]
    np.testing.assert_allclose(run(plain)[0], run(model)[0], rtol=1e-5, atol=1e-5)


def test_a_weight_that_another_node_reads_too_stays_as_it_is_for_that_one() -> None:
    model = gemm(noise(2, OUTPUTS), alpha=0.5)
    model.graph.node.append(helper.make_node("Gemm", ["f", "w"], ["z"]))
    model.graph.output.append(helper.make_empty_tensor_value_info("z"))
    for mine, theirs in zip(run(after(plain_gemms, model)), run(model), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
