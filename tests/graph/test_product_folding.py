from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from quantize.graph.product_folding import fold_into_products
from tests.graph.small_models import after, model_of, noise, operators, run

OUTPUTS = 5
NORM = {"scale": noise(3, OUTPUTS), "shift": noise(4, OUTPUTS), "mean": noise(5, OUTPUTS)}
NORM["var"] = noise(6, OUTPUTS) ** 2 + np.float32(0.1)
CONSTANTS = {"w": noise(1, 6, OUTPUTS), "b": noise(2, OUTPUTS), "c": np.abs(noise(7, OUTPUTS)) + 1, **NORM}


def node(op_type, inputs, output="y", **attributes):
    return helper.make_node(op_type, inputs, [output], **attributes)


def assert_folded(nodes, constants, expected):
    model = model_of(nodes, constants)
    folded = after(fold_into_products, model)
    assert operators(folded) == expected
    (before,), (scores,) = run(model), run(folded)
    np.testing.assert_allclose(scores, before, rtol=1e-4, atol=1e-5 * max(1, np.abs(before).max()))


@pytest.mark.parametrize("step", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("bias", [True, False])
def test_what_scales_the_outputs_of_a_matmul_becomes_part_of_it(step, bias):
    nodes = [node("MatMul", ["x", "w"], "t")]
    nodes += [node("Add", ["b", "t"], "u")] if bias else []
    nodes += [node(step, ["u" if bias else "t", "c"])]
    expected = ["MatMul", "Add"] if bias else ["MatMul"] if step in ("Mul", "Div") else ["MatMul", step]
    assert_folded(nodes, CONSTANTS, expected)


def test_a_norm_and_a_scale_become_part_of_a_gemm_of_any_layout():
    flat = node("Reshape", ["x", "rows"], "f")
    rows = {"rows": np.array([-1, 6])}
    for transposed in (0, 1):
        weights = CONSTANTS["w"].T.copy() if transposed else CONSTANTS["w"]
        gemm = node("Gemm", ["f", "w"], "t", transB=transposed)
        nodes = [flat, gemm, node("BatchNormalization", ["t", *NORM], "n"), node("Mul", ["n", "c"])]
        assert_folded(nodes, {**CONSTANTS, "w": weights, **rows}, ["Reshape", "Gemm"])


def test_a_norm_behind_a_transposed_conv_becomes_part_of_it():
    constants = {**CONSTANTS, "w": noise(1, 3, OUTPUTS, 2, 2)}
    nodes = [node("ConvTranspose", ["x", "w"], "t", strides=[2, 2]), node("BatchNormalization", ["t", *NORM])]
    assert_folded(nodes, constants, ["ConvTranspose"])


@pytest.mark.parametrize(
    "follower",
    [
        node("Mul", ["t", "column"]),
        node("Mul", ["t", "t"]),
        node("BatchNormalization", ["t", *(f"{name}3" for name in NORM)]),
    ],
)
def test_what_is_not_per_output_stays(follower):
    constants = {**CONSTANTS, "column": noise(8, 6, 1), **{f"{name}3": values[:3] for name, values in NORM.items()}}
    assert_folded([node("MatMul", ["x", "w"], "t"), follower], constants, ["MatMul", follower.op_type])


def test_weights_that_another_node_shares_keep_their_values():
    nodes = [
        node("MatMul", ["x", "w"], "t"),
        node("Mul", ["t", "c"], "u"),
        node("MatMul", ["x", "w"], "v"),
        node("Add", ["u", "v"]),
    ]
    assert_folded(nodes, CONSTANTS, ["MatMul", "MatMul", "Add"])
