"""A recipe is smoothed where the search measures that it is nearer to fp32 so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.engines.native.builder.smoothing import SMOOTHING
from quantize.engines.native.builder.weights import EQUALIZATION
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
    return candidate_builder(nodes, constants, tmp_path)


def candidate_builder(nodes, constants, folder):
    """Return the builder of a network of images of 3x8x8 and five scores."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rng = np.random.default_rng(1)
    images = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32)
    return CandidateBuilder(
        save_model(proto, folder / "fp32.onnx"),
        SearchSettings(recipe=Recipe(engine="native"), threads=1),
        calibration_set([Batch(tuple("01234567"), images, None)]),
        SearchJournal(Journal(folder / "trials.jsonl", {}, resume=False)),
        folder / "work",
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


def test_smoothing_is_tried_in_place_of_an_equalization_that_would_undo_it(tmp_path):
    rng = np.random.default_rng(0)
    gains = np.array([40, 1, 1, 0.02], np.float32).reshape(-1, 1, 1, 1)
    constants = {"w": rng.normal(0, 1, (4, 3, 1, 1)) * gains, "p": rng.normal(0, 1, (5, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "first"),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "p"], ["m"], "second"),
        helper.make_node("ReduceMean", ["m"], ["scores"], "mean", axes=[2, 3], keepdims=0),
    ]
    builder = candidate_builder(nodes, constants, tmp_path)
    far = {(EQUALIZATION,): 0.7, (SMOOTHING, EQUALIZATION): 0.69, (SMOOTHING,): 0.3}

    def measure(recipe, _is_hopeless=None, /):
        mean = far.get(recipe.corrections, 1.0)
        return [mean, 1.1 * mean, 0.9 * mean]

    settings = SearchSettings(
        recipe=Recipe(engine="native"), corrections=(EQUALIZATION, SMOOTHING), range_rules=("minmax",)
    )
    search = RecipeSearch(builder, measure, settings)
    assert search.best().recipe.corrections == (SMOOTHING,)
    assert [words.split(", ", 1)[1:] for words, _ in search.fidelity][1:] == [
        ["equalization"],
        ["smoothing, equalization"],
        ["smoothing"],
    ]
