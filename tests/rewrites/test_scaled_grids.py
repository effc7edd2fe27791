"""A quantized tensor times one number: no multiplication is left, and one rounding less."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from quantize.formats.exact import open_exact_session
from quantize.recipe import Recipe
from quantize.rewrites.scaled_grids import SCALED_GRIDS
from tests.engines.native.builder.test_blocks import built
from tests.rewrites.checks import apply, assert_declared, assert_untouched, integer_types
from tests.small_blocks import IMAGES, Net


def scaled(op_type: str, factor: object, *, swapped: bool = False) -> ModelProto:
    """Two Convs with a factor between them, quantized."""
    net = Net(13)
    x = net.conv("x", 3, 16, stride=2)
    operands = (x, net.constant(np.asarray(factor, np.float32)))
    x = net.op(op_type, *(reversed(operands) if swapped else operands))
    fp32 = net.pooled(net.conv(x, 16, 24, 1), 24)
    return built(fp32, Recipe(engine="native", details=(("float_outputs", "true"),)))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("factor", [0.125, 3.0, [0.3]])
def test_the_factor_goes_into_the_grid(factor: object, swapped: bool) -> None:
    model = scaled("Mul", factor, swapped=swapped)
    assert "QLinearMul" in integer_types(model)
    names, after = apply(SCALED_GRIDS, model)
    assert len(names) == 1
    assert "QLinearMul" not in integer_types(after)
    assert_declared(SCALED_GRIDS, model, after, {"x": IMAGES})


def test_a_power_of_two_between_grids_of_one_reach_changes_no_score() -> None:
    model = scaled("Mul", 0.125)
    _, after = apply(SCALED_GRIDS, model)
    before, now = (open_exact_session(form).run(None, {"x": IMAGES})[0] for form in (model, after))
    np.testing.assert_allclose(now, before, rtol=0, atol=float(np.abs(before).max()) * 1e-5)


@pytest.mark.parametrize("factor", [-0.5, 0.0, np.full((16, 1, 1), 0.5)])
def test_what_no_grid_can_take_is_left(factor: object) -> None:
    assert_untouched(SCALED_GRIDS, scaled("Mul", factor))
