from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from quantize.errors import DataError
from quantize.evaluation.outcomes import Outcomes, Scores, concatenate, outcomes_of, take
from quantize.evaluation.topk import chances, top_k


def _ids(n: int) -> tuple[str, ...]:
    return tuple(f"image-{i}" for i in range(n))


@st.composite
def tied_scores(draw: st.DrawFn) -> tuple[Scores, NDArray[Any]]:
    n, classes = draw(st.integers(1, 12)), draw(st.integers(2, 9))
    # four values among up to nine classes: ties everywhere
    scores = draw(hnp.arrays(np.float32, (n, classes), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    return scores, labels


def test_rank_counts_classes_above_the_true_one_and_ties_those_level_with_it() -> None:
    scores = np.array([[3, 2, 2, 1], [0, 5, 5, 5], [1, 2, 3, 4]], np.float32)
    outcomes = outcomes_of(_ids(3), scores, np.array([1, 3, 0]))
    assert outcomes.rank is not None
    assert outcomes.ties is not None
    assert outcomes.rank.tolist() == [1, 0, 3]
    assert outcomes.ties.tolist() == [1, 2, 0]
    assert outcomes.prediction.tolist() == [0, 1, 3]
    assert outcomes.tied_top.tolist() == [1, 3, 1]
    assert outcomes.margin.tolist() == [1, 0, 1]


def test_a_two_way_tie_at_the_top_is_half_a_right_answer_and_pessimistically_a_wrong_one() -> None:
    counts = top_k(outcomes_of(_ids(1), np.array([[1, 1, 0]], np.float32), np.array([0])), 1)
    assert (counts.expected, counts.pessimistic, counts.optimistic) == (0.5, 0.0, 1.0)


def test_a_tie_inside_the_first_five_changes_top_1_only() -> None:
    outcomes = outcomes_of(_ids(1), np.array([[9, 9, 8, 7, 6, 5, 4]], np.float32), np.array([1]))
    assert top_k(outcomes, 1).expected == 0.5
    assert top_k(outcomes, 5).expected == top_k(outcomes, 5).pessimistic == 1.0


def test_three_classes_tied_for_the_last_two_of_five_places_share_them() -> None:
    outcomes = outcomes_of(_ids(1), np.array([[9, 8, 7, 1, 1, 1, 0]], np.float32), np.array([4]))
    assert chances(outcomes, 5)[0] == pytest.approx(2 / 3)


@given(tied_scores(), st.integers(1, 6))
def test_the_expected_accuracy_is_the_mean_over_every_way_ties_can_fall(
    case: tuple[Scores, NDArray[Any]], k: int
) -> None:
    scores, labels = case
    outcomes = outcomes_of(_ids(len(scores)), scores, labels)
    generator = np.random.default_rng(0)
    # add noise far below the score steps: ties fall at random, everything else stays
    draws = np.array(
        [
            ((scores + generator.uniform(0, 0.01, scores.shape)).argsort(axis=1)[:, ::-1][:, :k] == labels[:, None])
            .any(axis=1)
            .mean()
            for _ in range(300)
        ]
    )
    counts = top_k(outcomes, k)
    assert draws.mean() == pytest.approx(counts.expected, abs=5 * 0.5 / np.sqrt(300 * len(scores)))
    assert counts.pessimistic - 1e-9 <= draws.min()
    assert draws.max() <= counts.optimistic + 1e-9


@given(tied_scores(), st.integers(1, 9))
def test_batch_size_and_order_change_no_count(case: tuple[Scores, NDArray[Any]], size: int) -> None:
    scores, labels = case
    ids = _ids(len(scores))
    whole = outcomes_of(ids, scores, labels)
    order = np.random.default_rng(len(ids)).permutation(len(ids))
    parts = [
        outcomes_of([ids[i] for i in at], scores[at], labels[at])
        for at in (order[start : start + size] for start in range(0, len(ids), size))
    ]
    joined = concatenate(parts)
    for k in (1, 2, 5):
        assert top_k(joined, k) == top_k(whole, k)
    back = take(joined, np.argsort(order))
    assert back.ids == whole.ids
    for name in ("rank", "ties", "prediction", "tied_top", "margin"):
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))


@given(tied_scores())
def test_more_answers_never_make_accuracy_lower(case: tuple[Scores, NDArray[Any]]) -> None:
    scores, labels = case
    outcomes = outcomes_of(_ids(len(scores)), scores, labels)
    rates = [top_k(outcomes, k).expected for k in range(1, scores.shape[1] + 1)]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0


def test_a_label_that_is_no_class_is_named_with_its_image() -> None:
    with pytest.raises(DataError) as caught:
        outcomes_of(("a.jpg", "b.jpg"), np.zeros((2, 3), np.float32), np.array([0, 3]))
    assert "b.jpg: 3" in str(caught.value)
    assert "0 to 2" in str(caught.value)


def test_a_negative_label_does_not_count_from_the_end() -> None:
    with pytest.raises(DataError):
        outcomes_of(("a",), np.zeros((1, 3), np.float32), np.array([-1]))


def test_outcomes_of_no_image_do_not_exist() -> None:
    with pytest.raises(ValueError, match="no image"):
        outcomes_of((), np.zeros((0, 3), np.float32), np.zeros(0, np.int64))


def test_the_same_image_does_not_count_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        outcomes_of(("a", "a"), np.zeros((2, 3), np.float32), None)


def test_accuracy_without_labels_is_refused() -> None:
    outcomes: Outcomes = outcomes_of(("a",), np.array([[1, 2]], np.float32), None)
    assert not outcomes.labelled
    with pytest.raises(DataError, match="labels"):
        top_k(outcomes, 1)


def test_outcomes_cannot_be_changed() -> None:
    outcomes = outcomes_of(("a",), np.array([[1, 2]], np.float32), np.array([1]))
    with pytest.raises(ValueError, match="read-only"):
        outcomes.prediction[0] = 0
