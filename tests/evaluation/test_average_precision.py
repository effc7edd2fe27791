from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from quantize.criterion import Criterion
from quantize.errors import DataError
from quantize.evaluation.average_precision import Ranking, is_near_chance, mean_average_precision
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.label_flips import label_drops, label_flips
from quantize.evaluation.label_outcomes import LabelOutcomes, label_outcomes_of
from quantize.evaluation.paired_precision import compare_precision
from quantize.evaluation.summary import summarize
from quantize.evaluation.verdict import judge

Bools = NDArray[np.bool_]


def outcomes(scores: NDArray[np.floating], labels: Bools | None) -> LabelOutcomes:
    ids = [f"{number:05}" for number in range(len(scores))]
    return label_outcomes_of(ids, scores.astype(np.float32), labels, "sigmoid")


def evaluation(scores: NDArray[np.floating], labels: Bools | None) -> Evaluation:
    return Evaluation(
        graph_sha256="a" * 64,
        classes=scores.shape[1],
        outcomes=outcomes(scores, labels),
        skipped=(),
        fidelity=None,
        constant_output=False,
        task="labels",
    )


def by_definition(scores: NDArray[np.floating], labels: Bools) -> float:
    """Return the average precision as it is defined: over the distinct thresholds, recall gained times precision."""
    total, recall, area = labels.sum(), 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        found = (chosen & labels).sum()
        area += (found / total - recall) * found / chosen.sum()
        recall = found / total
    return float(area)


def test_a_value_worked_out_by_hand() -> None:
    # ranked: yes, no, yes, no: (1/1 + 2/3) / 2
    scores, labels = np.array([[0.9], [0.8], [0.7], [0.1]]), np.array([[True], [False], [True], [False]])

    assert mean_average_precision(outcomes(scores, labels)) == pytest.approx((1 + 2 / 3) / 2)


def test_equal_scores_count_as_one_step_whatever_their_order() -> None:
    scores = np.full((4, 1), 0.5)
    for labels in ([True, False, False, False], [False, False, False, True]):
        assert mean_average_precision(outcomes(scores, np.array(labels)[:, None])) == pytest.approx(1 / 4)


def test_it_is_the_mean_over_the_labels_that_occur_by_the_definition() -> None:
    generator = np.random.default_rng(1)
    scores = generator.random((60, 5)).round(1)
    labels = generator.random((60, 5)) < 0.3
    labels[:, 3] = False

    expected = np.mean([by_definition(scores[:, c], labels[:, c]) for c in (0, 1, 2, 4)])
    assert mean_average_precision(outcomes(scores, labels)) == pytest.approx(expected)


def test_a_weight_counts_as_that_many_images() -> None:
    generator = np.random.default_rng(2)
    scores, labels = generator.random(30).round(1).astype(np.float32), generator.random(30) < 0.4
    weights = generator.integers(0, 3, 30)

    (weighted,) = Ranking.of(scores, labels).precision(weights[None].astype(np.float64))
    assert weighted == pytest.approx(by_definition(np.repeat(scores, weights), np.repeat(labels, weights)))


def pairs(n: int, noise: float, seed: int) -> tuple[Evaluation, Evaluation]:
    """Return two evaluations of labels that the logits tell well: the second one's logits have more noise."""
    generator = np.random.default_rng(seed)
    labels = generator.random((n, 4)) < [0.5, 0.3, 0.2, 0.1]
    logits = np.where(labels, 1.0, -1.0) + generator.normal(0, 0.8, (n, 4))
    moved = logits + generator.normal(0, noise, (n, 4))
    return evaluation(special.expit(logits), labels), evaluation(special.expit(moved), labels)


def test_the_interval_holds_the_true_drop_as_often_as_it_says() -> None:
    truth = np.mean([compare_precision(*pairs(20_000, 0.4, seed), replicates=2).drop for seed in range(4)])
    inside = 0
    for seed in range(100, 220):
        paired = compare_precision(*pairs(200, 0.4, seed), confidence=0.9, seed=seed, replicates=300)
        inside += paired.drop_interval.low <= truth <= paired.drop_interval.high

    assert 0.82 <= inside / 120 <= 0.99


def test_models_that_rank_few_images_alike_leave_a_width() -> None:
    paired = compare_precision(*pairs(50, 0.0, 3))

    assert paired.drop == 0
    assert paired.drop_interval.low <= -1 / 50
    assert paired.drop_interval.high >= 1 / 50


def test_a_paired_comparison_does_not_depend_on_the_order_of_the_images() -> None:
    before, after = pairs(80, 0.3, 4)
    shuffled = after.take(np.random.default_rng(0).permutation(80))

    assert compare_precision(before, shuffled) == compare_precision(before, after)


@pytest.mark.parametrize(("relative", "absolute"), [(0.5, None), (None, 0.5), (1e-6, None)])
def test_relative_and_absolute_are_of_the_mean_average_precision(
    relative: float | None, absolute: float | None
) -> None:
    paired = compare_precision(*pairs(300, 0.4, 5))
    criterion = Criterion("map", paired.baseline_expected, relative, absolute, confidence=0.95)
    judgement = judge(paired, criterion)

    assert judgement.deciding.outcome == ("met" if relative != 1e-6 else "not met")
    expected = paired.relative_drop if relative is not None else paired.drop
    assert judgement.deciding.estimate == expected


def test_an_inconclusive_verdict_says_how_many_images_would_do() -> None:
    paired = compare_precision(*pairs(100, 0.1, 6))
    judgement = judge(paired, Criterion("map", paired.baseline_expected, absolute=0.01))

    assert judgement.at_95.outcome == "inconclusive"
    assert (judgement.at_95.images_needed or 0) > 100


def test_scores_of_other_images_are_near_chance_and_good_ones_are_not() -> None:
    good, _ = pairs(150, 0.0, 7)
    assert isinstance(good.outcomes, LabelOutcomes)
    exchanged = replace(good.outcomes, scores=good.outcomes.scores[::-1].copy())

    assert is_near_chance(exchanged)
    assert not is_near_chance(good.outcomes)


def test_agreement_is_the_share_of_decisions_on_the_same_side_and_kl_a_sum_of_coins() -> None:
    reference = np.array([[0.9, 0.2, 0.6, 0.5], [0.9, 0.2, 0.6, 0.4]], np.float32)
    candidate = np.array([[0.8, 0.6, 0.7, 0.1], [0.9, 0.2, 0.6, 0.4]], np.float32)
    fidelity = fidelity_of(reference, candidate, "sigmoid", "labels")

    assert fidelity.agreements.tolist() == [(1 + 0 + 1 + 0.5) / 4, 1]
    assert fidelity.certain_agreements.tolist() == [2 / 4, 1]
    p, q = reference.astype(np.float64), candidate.astype(np.float64)
    expected = (special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)).sum(axis=1)
    np.testing.assert_allclose(fidelity.divergences, expected, rtol=1e-6, atol=1e-9)
    from_logits = fidelity_of(special.logit(p), special.logit(q), "logits", "labels")
    np.testing.assert_allclose(from_logits.divergences, expected, rtol=1e-6, atol=1e-9)


def test_flips_are_images_whose_labels_changed_the_surest_first() -> None:
    labels = np.array([[True, False], [False, True], [True, True]])
    before = evaluation(np.array([[0.9, 0.1], [0.3, 0.6], [0.6, 0.7]]), labels)
    after = evaluation(np.array([[0.4, 0.1], [0.3, 0.6], [0.6, 0.5]]), labels)
    first, second = label_flips(before, after)

    assert (first.id, first.baseline_prediction, first.candidate_prediction) == ("00000", (0,), ())
    assert (first.label, first.effect) == ((0,), "lost")
    assert first.baseline_margin == pytest.approx(0.4)
    assert (second.id, second.candidate_tied, second.effect) == ("00002", 2, "lost")
    assert {drop.label: (drop.lost, drop.gained) for drop in label_drops(before, after)} == {0: (1, 0), 1: (1, 0)}


def test_a_summary_has_the_precision_and_no_top_1() -> None:
    before, _ = pairs(60, 0.0, 8)
    summary = summarize(before)

    assert (summary.task, summary.top1, summary.top5) == ("labels", None, None)
    assert summary.mean_average_precision is not None
    assert summary.mean_average_precision.expected == mean_average_precision(before.outcomes)  # type: ignore[arg-type]
    assert summary.mean_average_precision.expected in summary.mean_average_precision.expected_interval


def test_without_labels_there_is_no_precision() -> None:
    unlabelled = evaluation(np.full((3, 2), 0.3), None)

    assert summarize(unlabelled).mean_average_precision is None
    with pytest.raises(DataError, match="accuracy needs labels"):
        _ = unlabelled.accuracy
