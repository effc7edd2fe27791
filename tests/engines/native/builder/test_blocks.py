"""What the builder makes of the blocks of today's architectures."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.calibration.collect import collect
from quantize.calibration.moment_pass import collect_second_moments
from quantize.engines.native.builder.builder import NativeBuilder
from quantize.engines.native.builder.layers import windows
from quantize.engines.native.builder.qdq import FLOAT_OUTPUTS
from quantize.formats import to_qdq, to_qlinear
from quantize.formats.exact import open_exact_session
from quantize.graph.regions import regions
from quantize.graph.view import Graph
from quantize.recipe import Recipe
from tests.small_blocks import (
    ACTIVATIONS,
    BATCHES,
    IMAGES,
    activated,
    convnext,
    dense,
    residual,
    sqnr,
    squeezed,
    transformer,
)

RECIPE = Recipe(engine="native", details=((FLOAT_OUTPUTS, "true"),))
MODELS = {
    **{kind: lambda kind=kind: activated(kind, 13) for kind in ACTIVATIONS},
    "squeeze and excitation": lambda: squeezed(13),
    "residual": lambda: residual(13),
    "dense": lambda: dense(13),
    "transformer of nine nodes": lambda: transformer(13),
    "transformer": lambda: transformer(17),
    "convnext": lambda: convnext(17),
}


def built(model, recipe=RECIPE):
    return NativeBuilder(
        Path("unused"), lambda: dict(collect_second_moments(model, list(windows(model)), BATCHES)), lambda: [IMAGES]
    ).graph(model, recipe, collect(model, BATCHES))


def scores(model):
    return open_exact_session(model).run(None, {"x": IMAGES})[0]


@pytest.mark.parametrize("name", MODELS)
def test_blocks_stay_near_fp32_in_both_formats(name):
    model = MODELS[name]()
    quantized = built(model)
    opset = 12 if model.opset_import[0].version == 13 else model.opset_import[0].version
    for candidate in (to_qdq(quantized), to_qlinear(quantized, opset=opset)):
        assert sqnr(scores(model), scores(candidate)) > 22


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_rounded_inside_a_region(name):
    model = MODELS[name]()
    inside = {node.output[0] for region in regions(Graph(model)) for node in region.nodes[:-1]}
    rounded = {node.input[0] for node in built(model).graph.node if node.op_type == "QuantizeLinear"}
    assert not inside & rounded


def test_every_correction_can_be_asked_for_where_a_matmul_takes_an_image_with_channels_last():
    model = convnext(17)
    corrected = built(model, RECIPE.but(corrections=("rounding", "bias", "scores")))
    assert sqnr(scores(model), scores(corrected)) > 22


def test_the_bias_of_a_matmul_is_not_rounded_to_eight_bits():
    model = transformer(17)
    biases = {region.nodes[1].input[1] for region in regions(Graph(model)) if region.kind == "biased product"}
    kept = {tensor.name for tensor in built(model).graph.initializer if tensor.data_type == 1}
    assert biases <= kept
