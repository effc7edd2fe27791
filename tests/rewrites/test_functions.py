"""Functions of one quantized tensor: told by their values, and computed in the ways that onnxruntime has for them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from quantize.formats import canonical, to_qdq, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.graph.shapes import inferred_shapes
from quantize.graph.view import Graph
from quantize.recipe import Recipe
from quantize.rewrites.function_table import FUNCTION_TABLE
from quantize.rewrites.functions import gelu, gelu_by_tanh, hard_swish, is_same, quantized_functions, sigmoid_product
from quantize.rewrites.hard_swish import HARD_SWISH
from quantize.rewrites.one_node_functions import ONE_NODE_FUNCTIONS
from quantize.rewrites.protocol import Comparison, Movement, RatioInterval, Rewrite, movement, shown_faster
from quantize.rewrites.sigmoid_product import SIGMOID_PRODUCT
from tests.engines.native.builder.test_blocks import built
from tests.rewrites.checks import apply, assert_untouched
from tests.small_blocks import ACTIVATIONS, IMAGES, activated

KNOWN = {
    "silu": sigmoid_product(1.0),
    "hard swish": hard_swish,
    "hard swish by clip": hard_swish,
    "gelu": gelu,
    "gelu by tanh": gelu_by_tanh,
}


FORMS = (
    (HARD_SWISH, "hard swish"),
    (HARD_SWISH, "hard swish by clip"),
    (ONE_NODE_FUNCTIONS, "silu"),
    (ONE_NODE_FUNCTIONS, "gelu"),
    (ONE_NODE_FUNCTIONS, "gelu by tanh"),
    (SIGMOID_PRODUCT, "silu"),
    *((FUNCTION_TABLE, kind) for kind in ACTIVATIONS),
)


def quantized(kind: str, activation_type: str = "uint8") -> ModelProto:
    recipe = Recipe(engine="native", activation_type=activation_type, details=(("float_outputs", "true"),))
    return built(activated(kind, 13), recipe)


def moved(before: ModelProto, after: ModelProto) -> list[Movement]:
    run = [
        [open_exact_session(form).run(None, {"x": IMAGES})[0] for form in (to_qlinear(model), to_qdq(model))]
        for model in (before, after)
    ]
    return [movement(*pair) for pair in zip(*run, strict=True)]


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_a_function_is_told_by_its_values(kind: str) -> None:
    graph = Graph(canonical(quantized(kind)))
    functions = list(quantized_functions(graph))
    assert len(functions) == 2
    tried = [function.tried(graph) for function in functions]
    for name, known in KNOWN.items():
        assert [is_same(values, known) for values in tried] == [known is KNOWN.get(kind)] * 2, name


@pytest.mark.parametrize("activation_type", ["uint8", "int8"])
@pytest.mark.parametrize(("rewrite", "kind"), FORMS)
def test_every_form_keeps_its_declaration_in_both_formats(rewrite: Rewrite, kind: str, activation_type: str) -> None:
    before = quantized(kind, activation_type)
    names, after = apply(rewrite, before)
    assert len(names) == 2
    for moves in moved(before, after):
        assert rewrite.declares.allows(moves)


@pytest.mark.parametrize(
    ("rewrite", "kind"),
    [(HARD_SWISH, "silu"), (ONE_NODE_FUNCTIONS, "mish"), (SIGMOID_PRODUCT, "gelu"), (FUNCTION_TABLE, "relu")],
)
def test_another_function_is_left_alone(rewrite: Rewrite, kind: str) -> None:
    assert_untouched(rewrite, quantized(kind))


def test_a_hard_swish_computes_on_integers_only() -> None:
    _, after = apply(HARD_SWISH, quantized("hard swish"))
    types = [node.op_type for node in to_qlinear(after).graph.node]
    assert types.count("QLinearMul") == types.count("QLinearAdd") == 2
    assert "DequantizeLinear" not in types[:-3]


def test_a_table_holds_the_integer_of_every_integer() -> None:
    graph = Graph(canonical(quantized("mish", "int8")))
    function = next(iter(quantized_functions(graph)))
    integers = np.array([-128, -1, 0, 127], np.int8)
    values = function.source.dequantize(integers).astype(np.float64)
    expected = function.result.quantize((values * np.tanh(np.log1p(np.exp(values)))).astype(np.float32))
    table = function.result.quantize(function.on_grid(graph))
    assert np.abs(table[integers].astype(int) - expected).max() <= 1  # a value near a half rounds either way
    assert table.shape == (256,)


@pytest.mark.parametrize("rewrite", [HARD_SWISH, ONE_NODE_FUNCTIONS, SIGMOID_PRODUCT, FUNCTION_TABLE])
def test_shapes_can_still_be_inferred_behind_it(rewrite: Rewrite) -> None:
    kind = "hard swish" if rewrite is HARD_SWISH else "silu"
    names, after = apply(rewrite, quantized(kind))
    assert names
    pool = next(node for node in after.graph.node if node.op_type == "GlobalAveragePool")
    assert inferred_shapes(after)[pool.input[0]][1:] == (24, 8, 8)


def test_one_of_two_ways_is_kept_only_if_it_is_the_faster_one() -> None:
    still = Movement(1, 0.0, 0.0, 0, 0, 0)
    faster, unsure = RatioInterval(1.01, 1.05, 1.1), RatioInterval(0.99, 1.05, 1.1)
    assert shown_faster(Comparison({"qlinear": faster, "qdq": faster}, still))
    assert not shown_faster(Comparison({"qlinear": faster, "qdq": unsure}, still))


def test_the_search_does_without_what_pays_on_some_cpus_only() -> None:
    assert SIGMOID_PRODUCT.only_measured
    assert FUNCTION_TABLE.only_measured
    assert not HARD_SWISH.only_measured
    assert not ONE_NODE_FUNCTIONS.only_measured
