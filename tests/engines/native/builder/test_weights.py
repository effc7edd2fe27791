from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from quantize.engines.native.builder.weights import BIAS, ROUNDING
from tests.engines.native.builder.small_model import RECIPE, error, quantize_graph, scores


def test_bias_correction_takes_the_shift_off_the_mean(model, statistics):
    plain, corrected = (quantize_graph(model, RECIPE.but(corrections=names), statistics) for names in ((), (BIAS,)))
    reference = scores(model).mean(axis=0)
    shifts = [np.abs(scores(candidate).mean(axis=0) - reference).mean() for candidate in (plain, corrected)]
    assert shifts[1] < shifts[0]


def test_a_layer_without_bias_gets_one_by_bias_correction(model, statistics):
    quantized = quantize_graph(model, RECIPE.but(corrections=(BIAS,)), statistics)
    left = next(node for node in quantized.graph.node if node.name == "left")
    assert len(left.input) == 3


def test_least_squares_rounding_is_built_into_the_candidate(model, statistics, moments):
    nearest, rounded = (
        quantize_graph(model, RECIPE.but(corrections=names), statistics, moments) for names in ((), (ROUNDING,))
    )
    quantized = [
        {tensor.name: numpy_helper.to_array(tensor).astype(int) for tensor in candidate.graph.initializer}
        for candidate in (nearest, rounded)
    ]
    weights = [f"w{index}_quantized" for index in range(5)]
    assert not all(np.array_equal(quantized[0][name], quantized[1][name]) for name in weights)
    assert error(model, rounded) < 0.01 * scores(model).var()
