from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize.engines.native.builder.layers import layers
from quantize.engines.placement.placed_model import int8_nodes, placed, placed_nodes, stored_weights, with_placement
from quantize.formats import canonical, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.formats.parameters import add_dequantize, new_parameters
from quantize.graph.identity import graph_sha256
from quantize.graph.view import Graph
from quantize.recipe import Recipe
from tests.formats.plain_quantizer import quantized

INC = Recipe(engine="inc", details=(("format", '"qlinear"'),))


def classifier() -> ModelProto:
    """Conv-Relu, GlobalAveragePool, Flatten, Gemm with transposed weights."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "v", "a"], ["y"], "fc", transB=1),
    ]
    constants = {"w": (8, 3, 3, 3), "b": (8,), "v": (5, 8), "a": (5,)}
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(random.normal(0, 1, shape).astype(np.float32), n) for n, shape in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module")
def fp32() -> ModelProto:
    return classifier()


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 1, (6, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def candidate(fp32: ModelProto, images: NDArray[np.float32]) -> ModelProto:
    """The classifier as Neural Compressor writes it: other names, no Relu, the Gemm as MatMul and Add."""
    split = Graph(fp32)
    gemm = next(node for node in split.nodes if node.op_type == "Gemm")
    weights = split.constant("v")
    assert weights is not None
    split.remove([gemm])
    split.add("MatMul", ["f", split.add_constant("v_turned", weights.T)], ["y_MatMul"], name="fc_MatMul_quant")
    split.add("Add", ["y_MatMul", "a"], ["y"], name="fc_Add")
    graph = Graph(canonical(quantized(split.model(), images, float_ops=("GlobalAveragePool", "MatMul", "Add"))))
    relu, product, conv = (_only(graph, op_type) for op_type in ("Relu", "MatMul", "Conv"))
    graph.replace_uses(relu.output[0], relu.input[0])
    graph.remove([relu])
    conv.name = "conv_quant"
    scales = (np.abs(weights).max(axis=1) / 127).astype(np.float32)
    by = new_parameters(graph, "v", scales, np.zeros(5, np.int8), 1)
    graph.set_input(product, 1, add_dequantize(graph, graph.add_constant("v_quantized", by.quantize(weights.T)), by))
    return graph.model()


def _only(graph: Graph, op_type: str) -> NodeProto:
    (node,) = (node for node in graph.nodes if node.op_type == op_type)
    return node


def scores(model: ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    scored: NDArray[np.float32] = open_exact_session(model).run(None, {"x": images})[0]
    return scored


def test_without_a_placement_the_candidate_is_what_neural_compressor_built(
    candidate: ModelProto, fp32: ModelProto
) -> None:
    assert placed_nodes(INC) is None
    assert placed(candidate, fp32, INC) is candidate


def test_a_placement_is_part_of_the_recipe_and_its_id() -> None:
    recipe = with_placement(INC.but(float_nodes=("pool",)), ["relu", "conv"], ["conv"])
    assert recipe.float_nodes == ("conv", "pool", "relu")
    assert recipe.stored_nodes == ("conv",)
    assert placed_nodes(recipe) == ("conv", "relu")
    assert len({INC.id, recipe.id, with_placement(INC, ["conv"], []).id}) == 3
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_recipes_from_before_weights_were_stored_keep_their_id() -> None:
    assert Recipe(engine="inc").id == "8b50395e8e52"


def test_the_nodes_on_integers_are_found_by_their_names_whatever_was_put_around_them(
    candidate: ModelProto, fp32: ModelProto
) -> None:
    assert int8_nodes(candidate, fp32) == {"conv", "fc"}


@pytest.mark.parametrize("stored", [[], ["conv"], ["conv", "fc"]])
def test_with_every_layer_in_float_it_is_the_fp32_model_with_stored_weights(
    candidate: ModelProto, fp32: ModelProto, images: NDArray[np.float32], stored: list[str]
) -> None:
    model = placed(candidate, fp32, with_placement(INC, ["conv", "fc"], stored))
    kept = [node.op_type for node in model.graph.node if node.op_type not in ("Cast", "Mul")]
    assert kept == [node.op_type for node in fp32.graph.node]
    if not stored:
        assert graph_sha256(model) == graph_sha256(Graph(fp32).model())
    wanted = scores(fp32, images)
    assert np.abs(scores(model, images) - wanted).max() <= (0.01 if stored else 0.0) * np.abs(wanted).max()


@pytest.mark.parametrize("stored", [False, True])
def test_a_gemm_that_was_split_computes_in_float_with_its_weights_turned(
    candidate: ModelProto, fp32: ModelProto, images: NDArray[np.float32], stored: bool
) -> None:
    model = placed(candidate, fp32, with_placement(INC, ["fc"], ["fc"] if stored else []))
    assert "MatMulIntegerToFloat" not in {node.op_type for node in to_qlinear(model).graph.node}
    # The Conv is in int8 as before, so what is left of the difference is its own.
    alone = placed(candidate, fp32, with_placement(INC, ["conv"], []))
    assert np.abs(scores(model, images) - scores(fp32, images)).max() < 0.2
    assert np.abs(scores(alone, images) - scores(fp32, images)).max() < 0.2


def test_the_same_recipe_gives_the_same_model_again(candidate: ModelProto, fp32: ModelProto) -> None:
    recipe = with_placement(INC, ["conv"], ["conv"])
    first, second = (graph_sha256(placed(candidate, fp32, recipe)) for _ in range(2))
    assert first == second


def test_stored_weights_are_off_by_half_a_level_at_most_unless_clipped(fp32: ModelProto) -> None:
    (layer,) = (layer for layer in layers(fp32) if layer.node == "conv")
    weights = Graph(fp32).constant("w")
    assert weights is not None
    stored = stored_weights(layer, weights)
    assert np.abs(stored.levels).max() <= 127
    error = np.abs(stored.levels * stored.aligned_scales - weights)
    assert np.all(error <= stored.aligned_scales * 0.5 * (1 + 1e-5) + np.abs(weights) * (np.abs(stored.levels) == 127))
