from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.engines.native.builder import rounding, weight_scales
from quantize.engines.native.builder.rounding import least_squares_levels
from quantize.engines.native.builder.rounding_problem import RoundingProblem
from quantize.engines.native.builder.weight_scales import nearest_levels, scales_by_maximum, scales_by_mse


def problem(seed, groups, outputs, inputs):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0, 1, (groups, inputs, inputs))
    samples = rng.normal(0, 1, (groups, 400, inputs)) @ mixing
    rows = rng.normal(0, 1, (groups * outputs, inputs)).astype(np.float32)
    return rows, samples.swapaxes(1, 2) @ samples / 400


def output_error(rows, levels, scales, moments):
    change = (rows - levels * scales[:, None]).reshape(len(moments), -1, rows.shape[1])
    return float(np.einsum("gok,gkl,gol->", change, moments, change))


@given(st.integers(0, 1000), st.sampled_from([(1, 8, 70), (5, 1, 9), (2, 3, 20)]))
@settings(max_examples=15, deadline=None)
def test_the_outputs_change_less_than_with_the_nearest_levels(seed, shape):
    rows, moments = problem(seed, *shape)
    scales = scales_by_maximum(rows, 127)
    levels = least_squares_levels(rows, scales, RoundingProblem.of(moments), 127)
    nearest = nearest_levels(rows, scales, 127)
    assert output_error(rows, levels, scales, moments) < 1.001 * output_error(rows, nearest, scales, moments)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_levels_are_whole_and_within_bounds(seed):
    rows, moments = problem(seed, 2, 4, 30)
    levels = least_squares_levels(rows, scales_by_maximum(rows, 63), RoundingProblem.of(moments), 63)
    assert np.array_equal(levels, np.rint(levels))
    assert np.abs(levels).max() <= 63


def test_independent_inputs_leave_nothing_better_than_the_nearest():
    rows, _ = problem(0, 1, 6, 12)
    scales = scales_by_maximum(rows, 127)
    levels = least_squares_levels(rows, scales, RoundingProblem.of(np.eye(12)[None]), 127)
    assert np.array_equal(levels, nearest_levels(rows, scales, 127))


@given(st.integers(0, 1000), st.sampled_from([(1, 6, 70), (5, 2, 9), (1, 1, 1)]))
@settings(max_examples=15, deadline=None)
def test_inputs_are_compensated_as_by_the_inverse_of_what_is_left(seed, shape):
    """GPTQ as it was published: each error moves the inputs behind it by the inverse of their own moments."""
    rows, moments = problem(seed, *shape)
    of_layer = RoundingProblem.of(moments)
    targets = (rows * 20).reshape(shape).swapaxes(1, 2)
    compensation = rounding._Compensation(np.ascontiguousarray(targets), of_layer.feedback, 127)
    compensation.run(0, shape[2])
    for group, damped in enumerate(of_layer.damped.astype(np.float64)):
        left, expected = targets[group].astype(np.float64), np.empty(targets[group].shape)
        for at in range(shape[2]):
            inverse = np.linalg.inv(damped[at:, at:])
            expected[at] = np.clip(np.rint(left[at]), -127, 127)
            left[at:] -= inverse[:, :1] / inverse[0, 0] * (left[at] - expected[at])
        assert np.mean(compensation.rounded[group] != expected) < 0.02  # what float32 decides otherwise


@given(st.integers(0, 1000), st.sampled_from([1, 8, 1000]))
@settings(max_examples=15, deadline=None)
def test_the_descent_ends_with_the_gradient_of_its_levels(seed, few):
    rows, moments = problem(seed, 2, 3, 70)
    of_layer = RoundingProblem.of(moments)
    targets = np.ascontiguousarray((rows * 20).reshape(2, 3, 70).swapaxes(1, 2))
    with patch.object(rounding, "_FEW", few):
        descent = rounding._Descent(targets, np.rint(targets), of_layer.damped, 127)
        assert descent.moves(0, 70)
    exact = of_layer.damped.astype(np.float64) @ (descent.rounded - targets)
    assert np.abs(descent.gradient - exact).max() < 1e-4 * np.abs(of_layer.damped).max()


def test_deviations_that_rounding_left_with_a_negative_eigenvalue_do_no_harm():
    rows, moments = problem(3, 1, 6, 12)
    values, vectors = np.linalg.eigh(moments[0])
    broken = ((vectors * np.where(np.arange(12) == 0, -0.5 * values.mean(), values)) @ vectors.T)[None]
    scales = scales_by_maximum(rows, 127)
    levels = least_squares_levels(rows, scales, RoundingProblem.of(broken), 127)
    assert np.abs(levels - rows / scales[:, None]).max() < 127
    assert np.isfinite(levels).all()


def test_inputs_that_never_vary_do_no_harm():
    rows, moments = problem(0, 1, 6, 12)
    moments[:, 3], moments[:, :, 3] = 0, 0
    assert np.isfinite(least_squares_levels(rows, scales_by_maximum(rows, 127), RoundingProblem.of(moments), 127)).all()
    assert np.isfinite(
        least_squares_levels(rows, scales_by_maximum(rows, 127), RoundingProblem.of(np.zeros((1, 12, 12))), 127)
    ).all()


def test_moments_that_float32_left_of_inputs_that_hardly_vary_are_no_obstacle():
    rows, _ = problem(0, 1, 6, 12)
    samples = 3 + 1e-5 * np.random.default_rng(0).normal(0, 1, (400, 12))
    products, means = (samples.T @ samples / 400).astype(np.float32), samples.mean(axis=0).astype(np.float32)
    central = products.astype(np.float64) - np.outer(means, means)
    assert np.linalg.eigvalsh(central).min() < -0.01 * np.trace(central) / 12
    levels = least_squares_levels(rows, scales_by_maximum(rows, 127), RoundingProblem.of(central[None]), 127)
    assert np.abs(levels * scales_by_maximum(rows, 127)[:, None] - rows).max() < 0.1 * np.abs(rows).max()


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_scales_by_squared_error_are_never_worse_than_those_by_the_maximum(seed):
    rows = np.random.default_rng(seed).standard_t(3, (4, 50)).astype(np.float32)
    errors = []
    for scales in (scales_by_mse(rows, 127), scales_by_maximum(rows, 127)):
        errors.append(((rows - nearest_levels(rows, scales, 127) * scales[:, None]) ** 2).sum(axis=1))
    assert (errors[0] <= errors[1] * 1.0001).all()


def test_scales_do_not_depend_on_how_many_weights_are_looked_at_together(monkeypatch):
    rows = np.random.default_rng(0).standard_t(3, (40, 30)).astype(np.float32)
    whole = scales_by_mse(rows, 127)
    monkeypatch.setattr(weight_scales, "_TOGETHER", 100)
    assert np.array_equal(scales_by_mse(rows, 127), whole)
    assert scales_by_mse(rows[:0], 127).shape == (0,)


def test_a_channel_of_zeros_has_a_usable_scale():
    assert scales_by_maximum(np.zeros((2, 3), np.float32), 127).tolist() == [1.0, 1.0]
