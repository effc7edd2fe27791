"""A recipe is smoothed where the search measures that it is nearer to fp32 so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.engines.native.builder.smoothing import SMOOTHING
from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.recipe_search import RecipeSearch
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.journal import Journal
from quantize.models.artifact import save_model
from quantize.recipe import Recipe
from tests.engines.native.search.conftest import calibration_set


@pytest.fixture
def builder(tmp_path):
    rng = np.random.default_rng(0)
    gains = np.array([40, 1, 1, 0.5], np.float32)
    constants = {
        "w": rng.normal(0, 1, (4, 3, 4, 4)),
        "gains": gains,
        "shifts": gains / 9,
        "p": rng.normal(0, 1, (4, 5)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "patches", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Transpose", ["c"], ["t"], "last", perm=[0, 2, 3, 1]),
        helper.make_node("LayerNormalization", ["t", "gains", "shifts"], ["n"], "norm", axis=-1),
        helper.make_node("MatMul", ["n", "p"], ["m"], "product"),
        helper.make_node("ReduceMean", ["m"], ["scores"], "mean", axes=[1, 2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    images = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32)
    return CandidateBuilder(
        save_model(proto, tmp_path / "fp32.onnx"),
        SearchSettings(recipe=Recipe(engine="native"), threads=1),
        calibration_set([Batch(tuple("01234567"), images, None)]),
        SearchJournal(Journal(tmp_path / "trials.jsonl", {}, resume=False)),
        tmp_path / "work",
    )


@pytest.mark.parametrize(("divergence", "chosen"), [(0.5, True), (2.0, False)])
def test_smoothing_is_kept_where_it_is_nearer_to_fp32(builder, divergence, chosen):
    def measure(recipe, _is_hopeless=None, /):
        far = divergence if SMOOTHING in recipe.corrections else 1.0
        return [far, 1.1 * far, 0.9 * far]

    settings = SearchSettings(recipe=Recipe(engine="native"), corrections=(SMOOTHING,), range_rules=("minmax",))
    recipe = RecipeSearch(builder, measure, settings).best().recipe
    assert (SMOOTHING in recipe.corrections) is chosen
    assert (SMOOTHING in dict(recipe.details)) is chosen


def test_the_graph_of_a_smoothed_recipe_has_other_weights(builder):
    recipe = Recipe(engine="native")
    factors = builder.smoothing(recipe)
    assert factors is not None
    smoothed = recipe.but(corrections=(SMOOTHING,), details=((SMOOTHING, factors),))
    weights = [
        next(
            numpy_helper.to_array(tensor)
            for tensor in builder.source(each).graph.graph.initializer
            if tensor.name == "p"
        )
        for each in (recipe, smoothed)
    ]
    assert not np.array_equal(*weights)
