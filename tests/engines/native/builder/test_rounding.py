from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.engines.native.builder import weight_scales
from quantize.engines.native.builder.rounding import RoundingProblem, least_squares_levels
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


@given(st.integers(0, 1000), st.sampled_from([(1, 1, 70), (5, 1, 9), (1, 1, 1)]))
@settings(max_examples=15, deadline=None)
def test_the_feedback_is_the_upper_factor_of_the_inverse(seed, shape):
    problem_of = RoundingProblem.of(problem(seed, *shape)[1])
    feedback = problem_of.feedback.astype(np.float64)
    assert np.array_equal(feedback, np.triu(feedback))
    inverse = np.linalg.inv(problem_of.damped.astype(np.float64))
    assert np.abs(feedback.swapaxes(1, 2) @ feedback - inverse).max() < 1e-3 * np.abs(inverse).max()


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
