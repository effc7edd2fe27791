from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import rel_entr, softmax

from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.inference import are_probabilities
from quantize.evaluation.outcomes import Scores, concatenate

_LOGITS = hnp.arrays(np.float32, (7, 5), elements=st.floats(-8, 8, width=32))


def test_a_model_agrees_with_itself() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    fidelity = fidelity_of(logits, logits, "logits")
    assert fidelity.agreement == fidelity.pessimistic_agreement == 1.0
    assert fidelity.mean_kl == 0.0
    assert fidelity.sqnr is None  # no noise: a ratio that does not exist, not infinity
    assert fidelity.sqnr_decibel is None


def test_kl_takes_the_first_side_as_the_reference() -> None:
    reference, candidate = np.array([[0.9, 0.1]], np.float32), np.array([[0.5, 0.5]], np.float32)
    forward = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    backward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert fidelity_of(reference, candidate, "softmax").mean_kl == pytest.approx(forward, rel=1e-6)
    assert fidelity_of(candidate, reference, "softmax").mean_kl == pytest.approx(backward, rel=1e-6)


@given(_LOGITS, _LOGITS)
def test_kl_of_logits_is_kl_of_their_softmax_and_agrees_with_scipy(reference: Scores, candidate: Scores) -> None:
    from_logits = fidelity_of(reference, candidate, "logits")
    p, q = softmax(reference.astype(np.float64), axis=1), softmax(candidate.astype(np.float64), axis=1)
    np.testing.assert_allclose(from_logits.divergences, rel_entr(p, q).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(fidelity_of(p, q, "softmax").divergences, from_logits.divergences, atol=1e-9)
    assert (from_logits.divergences >= 0).all()


def test_a_class_rounded_to_probability_zero_costs_much_but_stays_finite() -> None:
    fidelity = fidelity_of(np.array([[0.5, 0.5]], np.float32), np.array([[1.0, 0.0]], np.float32), "softmax")
    assert 10 < fidelity.mean_kl < 28


def test_agreement_splits_a_tie_among_the_tied_classes() -> None:
    reference = np.array([[3, 1, 0], [3, 1, 0], [1, 1, 0]], np.float32)
    candidate = np.array([[2, 2, 0], [0, 2, 2], [1, 1, 1]], np.float32)
    fidelity = fidelity_of(reference, candidate, "logits")
    np.testing.assert_allclose(fidelity.agreements, [1 / 2, 0, 2 / 6])
    assert not fidelity.certain_agreements.any()


def test_sqnr_is_a_ratio_of_energies() -> None:
    fidelity = fidelity_of(np.array([[3, 4]], np.float32), np.array([[3, 4.5]], np.float32), "logits")
    assert fidelity.sqnr == pytest.approx(100)
    assert fidelity.sqnr_decibel == pytest.approx(20)


@given(_LOGITS, _LOGITS, st.integers(1, 7))
def test_batch_size_and_order_change_no_figure(reference: Scores, candidate: Scores, size: int) -> None:
    whole = fidelity_of(reference, candidate, "logits")
    order = np.random.default_rng(size).permutation(len(reference))
    parts = concatenate(
        fidelity_of(reference[at], candidate[at], "logits")
        for at in (order[start : start + size] for start in range(0, len(order), size))
    )
    assert parts.agreement == whole.agreement
    assert parts.mean_kl == pytest.approx(whole.mean_kl, rel=1e-12, abs=1e-15)
    assert parts.sqnr == whole.sqnr or parts.sqnr == pytest.approx(whole.sqnr, rel=1e-12)


def test_probabilities_are_distinguished_from_logits_by_their_sums() -> None:
    logits = np.random.default_rng(1).normal(size=(4, 6))
    assert are_probabilities(softmax(logits, axis=1).astype(np.float32))
    assert not are_probabilities(logits.astype(np.float32))
    assert not are_probabilities(np.full((4, 6), 0.2, np.float32))


def test_fidelity_to_scores_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        fidelity_of(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), "logits")
