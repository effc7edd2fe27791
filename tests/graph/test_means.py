from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from quantize.graph.means import means_as_pools
from tests.graph.small_models import after, model_of, operators, run


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [3, 2]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_over_height_and_width_is_a_pool(axes, keepdims):
    model = model_of([helper.make_node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=keepdims)], {})
    pooled = after(means_as_pools, model)
    assert operators(pooled) == (["GlobalAveragePool"] if keepdims else ["GlobalAveragePool", "Flatten"])
    np.testing.assert_allclose(run(pooled)[0], run(model)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axes", [[1], [1, 2], [2], [1, 2, 3]])
def test_any_other_mean_stays(axes):
    model = model_of([helper.make_node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=1)], {})
    assert operators(after(means_as_pools, model)) == ["ReduceMean"]


def test_axes_that_are_an_input_count_as_well():
    model = model_of([helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)], {"axes": np.array([2, 3])})
    model.opset_import[0].version = 18
    assert operators(after(means_as_pools, model)) == ["GlobalAveragePool"]
