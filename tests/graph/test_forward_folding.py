from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from quantize.graph.forward_folding import fold_forward
from tests.graph.small_models import after, model_of, noise, operators, run

NORM = {"scale": noise(3, 4), "shift": noise(4, 4), "mean": noise(5, 4), "var": noise(6, 4) ** 2 + np.float32(0.1)}
STEM = helper.make_node("Conv", ["x", "stem"], ["c"], kernel_shape=[1, 1])
RELU = helper.make_node("Relu", ["c"], ["r"])
NORMALIZED = helper.make_node("BatchNormalization", ["r", *NORM], ["n"], epsilon=1e-3)
CONSTANTS = NORM | {"stem": noise(7, 4, 3, 1, 1), "bias": noise(8, 4)}
CONSTANTS |= {"whole": noise(9, 4, 4, 3, 3), "halves": noise(10, 4, 2, 3, 3), "each": noise(11, 4, 1, 2, 2)}


def conv(source, weights, result, **attributes):
    return helper.make_node("Conv", [source, weights, *(["bias"] if weights != "each" else [])], [result], **attributes)


@pytest.mark.parametrize(("weights", "group"), [("whole", 1), ("halves", 2), ("each", 4)])
def test_a_norm_before_a_conv_without_padding_becomes_part_of_it(weights, group):
    model = model_of([STEM, RELU, NORMALIZED, conv("n", weights, "y", group=group)], CONSTANTS)
    folded = after(fold_forward, model)
    assert operators(folded) == ["Conv", "Relu", "Conv"]
    np.testing.assert_allclose(run(folded)[0], run(model)[0], rtol=1e-4, atol=1e-4)


def test_a_norm_before_two_convs_becomes_part_of_both_though_they_share_a_bias():
    behind = [conv("n", "whole", "a"), conv("n", "halves", "b", group=2), helper.make_node("Add", ["a", "b"], ["y"])]
    model = model_of([STEM, RELU, NORMALIZED, *behind], CONSTANTS)
    folded = after(fold_forward, model)
    assert "BatchNormalization" not in operators(folded)
    np.testing.assert_allclose(run(folded)[0], run(model)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "behind",
    [
        [conv("n", "whole", "y", pads=[1, 1, 1, 1])],
        [conv("n", "whole", "y", auto_pad="SAME_UPPER")],
        [
            conv("n", "whole", "a"),
            helper.make_node("Relu", ["n"], ["b"]),
            helper.make_node("Concat", ["b", "b"], ["y"], axis=1),
        ],
        [conv("n", "whole", "a", pads=[1, 1, 1, 1]), helper.make_node("Add", ["a", "n"], ["y"])],
    ],
    ids=["pads", "automatic pads", "read by a Relu", "read by a sum"],
)
def test_any_other_norm_stays(behind):
    model = model_of([STEM, RELU, NORMALIZED, *behind], CONSTANTS)
    assert "BatchNormalization" in operators(after(fold_forward, model))
