"""Every kind of graph that users bring is quantized, and its scores stay near fp32's in both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import ModelProto

from quantize.engines.native.builder.weights import EQUALIZATION
from tests.vocabulary import activations, convs, joins, products, spreads
from tests.vocabulary.engines import NATIVE, by_neural_compressor, by_onnxruntime, natively
from tests.vocabulary.forks import neural_compressor_in_forks
from tests.vocabulary.origins import unknown_products
from tests.vocabulary.quantized import Quantized, sample, written

LEAST_SQNR = 24.0
MOST_TIMES_ROUNDING = 1.5

KINDS: tuple[Callable[[], ModelProto], ...] = (
    activations.gelus,
    activations.hard_swishes,
    activations.leaky,
    activations.odd_bounds,
    activations.silu_block,
    activations.two_in_a_row,
    convs.cast_at_every_layer,
    convs.depthwise,
    convs.grouped_and_dilated,
    convs.in_newer_forms,
    convs.normalized,
    convs.padded,
    convs.padded_beyond_the_range,
    convs.pooled,
    convs.resized,
    convs.transposed,
    convs.with_dropout,
    convs.without_bias_and_uneven,
    joins.beside_nothing,
    joins.carried_through_a_loop,
    joins.chosen_by_a_condition,
    joins.coordinates,
    joins.relu_beside_signed,
    joins.relu_beside_wider_clip,
    joins.residuals,
    joins.scaled_by_a_number,
    joins.scaled_by_means,
    joins.seen_inside_and_outside,
    joins.shuffled,
    products.bias_of_one_row,
    products.gemm_forms,
    products.matmul_and_add,
    products.packed_transformer,
    products.vision_transformer,
    spreads.bias_only_at_the_end,
    spreads.names_used_twice,
    spreads.shared_weights,
    spreads.tiny_weights_beside_a_bias,
)
OTHERS_STUMBLED_ON = (
    convs.padded,
    convs.padded_beyond_the_range,
    joins.carried_through_a_loop,
    joins.chosen_by_a_condition,
    joins.scaled_by_a_number,
    joins.seen_inside_and_outside,
)
IN_FLOAT = {
    "transposed": ["ConvTranspose"],  # onnxruntime has no integer kernel
    "gemm_forms": ["Gemm", "MatMul"],  # whose first input is transposed, or the constant
}


def quantized(source: ModelProto, folder: Path) -> Quantized:
    return written(sample(source, folder), natively(), folder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_keeps_its_scores(kind: Callable[[], ModelProto], tmp_path: Path) -> None:
    made = quantized(kind(), tmp_path)
    assert min(made.sqnr) > LEAST_SQNR
    assert made.times_rounding < MOST_TIMES_ROUNDING
    assert made.agree
    # Nothing passes by staying in float.
    in_integers, in_float = made.layers
    assert in_integers > 0
    assert in_float == IN_FLOAT.get(kind.__name__, [])
    # A search that took what a product costs in integers for nothing would never leave it in float.
    for form in (made.qlinear, made.qdq):
        assert unknown_products(made.sample.prepared.proto(), form, tmp_path) == []


@pytest.mark.inc
@pytest.mark.parametrize("kind", OTHERS_STUMBLED_ON, ids=lambda kind: kind.__name__)
def test_a_kind_keeps_its_scores_with_neural_compressor(kind: Callable[[], ModelProto], tmp_path: Path) -> None:
    pytest.importorskip("neural_compressor")
    with neural_compressor_in_forks():
        made = written(sample(kind(), tmp_path), by_neural_compressor, tmp_path)
    assert min(made.sqnr) > LEAST_SQNR
    assert made.agree
    in_integers, _ = made.layers
    assert in_integers > 0


@pytest.mark.parametrize("kind", OTHERS_STUMBLED_ON, ids=lambda kind: kind.__name__)
def test_a_kind_keeps_its_scores_with_onnxruntimes_quantizer(kind: Callable[[], ModelProto], tmp_path: Path) -> None:
    made = written(sample(kind(), tmp_path), by_onnxruntime, tmp_path)
    assert min(made.sqnr) > LEAST_SQNR
    assert made.agree
    in_integers, _ = made.layers
    assert in_integers > 0


def test_a_relu_that_is_dead_widens_no_grid_of_others(tmp_path: Path) -> None:
    made = quantized(joins.dead_relu_beside_signed(), tmp_path)
    assert min(made.sqnr) > 30  # 6 on the range of what it takes, 21 on that of the grid of a tensor of zeros
    assert made.times_rounding < 2
    assert made.agree


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 15, 18, 21, 23])
def test_every_opset_is_taken(opset: int, tmp_path: Path) -> None:
    made = quantized(spreads.old_and_new(opset), tmp_path)
    assert min(made.sqnr) > LEAST_SQNR
    assert made.times_rounding < MOST_TIMES_ROUNDING


def test_a_transformer_whose_normalization_is_nine_nodes_keeps_its_scores(tmp_path: Path) -> None:
    made = quantized(products.vision_transformer(opset=13, normalization="nodes"), tmp_path)
    assert min(made.sqnr) > 30
    assert made.agree


def test_a_mask_of_minus_infinity_is_no_fault(tmp_path: Path) -> None:
    made = quantized(products.vision_transformer(masked=True), tmp_path)
    assert min(made.sqnr) > 30
    assert made.agree


def test_equalized_dead_and_outlying_channels_cost_nothing(tmp_path: Path) -> None:
    recipe = NATIVE.but(corrections=(EQUALIZATION, *NATIVE.corrections))
    made = written(sample(spreads.dead_and_outlying_channels(), tmp_path), natively(recipe), tmp_path)
    assert min(made.sqnr) > 28
    # Rounding by hand, which is what plain quantizers do, loses the narrow channels.
    assert made.times_rounding < 0.1


def test_a_silu_block_with_a_pool_in_place_of_the_mean_keeps_its_scores(tmp_path: Path) -> None:
    made = quantized(activations.silu_block(squeeze="GlobalAveragePool"), tmp_path)
    assert min(made.sqnr) > LEAST_SQNR
