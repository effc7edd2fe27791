from __future__ import annotations

import onnx
import pytest
from onnx import helper

from quantize.calibration.collect import collect
from quantize.engines.native.builder.builder import NativeBuilder
from quantize.engines.native.builder.weight_scales import WEIGHT_MSE
from quantize.engines.native.builder.weights import BIAS, ROUNDING
from quantize.errors import EngineError
from quantize.models.artifact import save_model
from tests.engines.native.builder.small_model import BATCHES, RECIPE, error, quantize_graph, scores


def test_the_candidate_scores_nearly_as_the_model_does(model, statistics):
    quantized = quantize_graph(model, RECIPE, statistics)
    onnx.checker.check_model(quantized, full_check=True)
    assert error(model, quantized) < 0.01 * scores(model).var()


def test_rounding_without_moments_is_a_mistake_of_the_caller(model, statistics):
    with pytest.raises(ValueError, match="second moments"):
        quantize_graph(model, RECIPE.but(corrections=(ROUNDING,)), statistics)


def test_an_unknown_correction_is_refused(model, statistics):
    with pytest.raises(EngineError, match="no such correction"):
        quantize_graph(model, RECIPE.but(corrections=("luck",)), statistics)


def test_the_same_recipe_gives_the_same_bytes(model, statistics, moments, tmp_path):
    source = save_model(model, tmp_path / "model.onnx")
    recipe = RECIPE.but(corrections=(WEIGHT_MSE, ROUNDING, BIAS))
    built = [NativeBuilder(tmp_path / name, lambda: moments).build(source, recipe, statistics) for name in ("a", "b")]
    assert built[0].sha256 == built[1].sha256
    assert built[0].path.name == f"{recipe.id}.onnx"
    assert built[0].contract == source.contract


def test_every_layer_whose_weights_take_a_rounding_problem_is_told_once(model, statistics, moments, tmp_path):
    told = []
    builder = NativeBuilder(tmp_path, lambda: moments, progress=lambda *step: told.append(step))
    recipe = RECIPE.but(corrections=(ROUNDING,))
    for _ in range(2):  # what was rounded before is known
        builder.graph(model, recipe, statistics)
    assert told == [("round weights", layer, None) for layer in range(1, len(moments) + 1)]


@pytest.mark.parametrize("shared", [{}, {"rewrites": ("common-scales",)}, {"details": (("common_grids", "true"),)}])
def test_a_relu_next_to_a_signed_branch_is_a_relu_still(model, shared):
    branched = onnx.ModelProto.FromString(model.SerializeToString())
    concat = next(node for node in branched.graph.node if node.op_type == "Concat")
    branched.graph.node.insert(5, helper.make_node("Relu", ["c2"], ["r2"], "relu2"))
    concat.input[0] = "r2"
    candidate = quantize_graph(branched, RECIPE.but(**shared), collect(branched, BATCHES))
    assert error(branched, candidate) < 0.01 * scores(branched).var()
