"""The prediction of a layer's error from its grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.evaluation.layer_check.prediction import ALLOWED, predicted_error, step_error
from quantize.grid.grid import Grid

PARTS = st.floats(0.0, 1e6)


@given(st.floats(0.01, 100.0), st.integers(0, 2**16))
@settings(deadline=None, max_examples=50)
def test_a_step_costs_what_rounding_to_it_costs(reach: float, seed: int) -> None:
    grid = Grid.covering(-reach, reach)
    values = np.random.default_rng(seed).uniform(grid.low, grid.high, 20_000)
    assert np.mean((grid.placed(values) - values) ** 2) == pytest.approx(step_error(float(grid.scale)), rel=0.05)


@given(PARTS, PARTS, st.floats(0.0, 1e3), st.lists(st.floats(0.0, 1e3), max_size=3), PARTS, PARTS)
@settings(deadline=None, max_examples=200)
def test_every_part_adds_to_the_error_and_none_takes_from_it(
    propagated: float, output: float, step: float, others: list[float], correction: float, magnitude: float
) -> None:
    whole = predicted_error(
        inputs_and_weights=propagated,
        output=output,
        step=step,
        others=others,
        correction=correction,
        magnitude=magnitude,
    )
    parts = [propagated, max(output, step_error(step)), *map(step_error, others), correction, magnitude * 2.0**-40]
    assert whole == pytest.approx(math.sqrt(sum(parts)), rel=1e-12, abs=1e-30)
    assert whole >= math.sqrt(max(parts)) * (1 - 1e-12)
    assert whole > 0


@given(st.integers(0, 2**16), st.integers(1, 64), st.floats(0.1, 10), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_a_product_of_grids_has_about_the_predicted_error_however_its_inputs_hang_together(
    seed: int, inputs: int, clipped: float, relu: bool, constant: bool
) -> None:
    """``clipped``: the output's range over that of its values; inputs that are all alike have errors that are, too."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.normal(size=(500, 1)), inputs, axis=1) if constant else rng.normal(size=(500, inputs))
    weights, bias = rng.normal(size=(inputs, 8)), rng.normal(size=8)

    def layer(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        y = x @ weights + bias
        return np.maximum(y, 0) if relu else y

    y = layer(x, weights)
    by_x = Grid.covering(float(x.min()), float(x.max()))
    by_w = Grid((np.abs(weights).max(axis=0) / 127).astype(np.float32), np.zeros(8, np.int8), 1)
    by_y = Grid.covering(float(y.min()) * clipped, float(y.max()) * clipped)
    on_grids = layer(by_x.placed(x), by_w.placed(weights))
    predicted = predicted_error(
        inputs_and_weights=float(np.mean((on_grids - y) ** 2)),
        output=float(np.mean((by_y.placed(y) - y) ** 2)),
        step=float(by_y.scale),
    )
    error = math.sqrt(np.mean((by_y.placed(on_grids) - y) ** 2))
    assert error <= predicted * math.sqrt(2) * 1.05  # two parts that hang together
    overflowed = layer(by_x.placed(x), by_w.placed(weights)) + 8 * ALLOWED * predicted
    assert math.sqrt(np.mean((overflowed - y) ** 2)) > ALLOWED * predicted
