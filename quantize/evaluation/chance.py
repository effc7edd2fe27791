"""Is a model's accuracy so near guessing that its input must be wrong?"""

from __future__ import annotations

import math

from scipy import stats

from quantize.evaluation.evaluation import Evaluation

# Wrong preprocessing does not bring accuracy down to guessing: 0.2 % of 1,000 classes, where guessing gives 0.1 %,
# and with 50,000 images even 0.2 % is significantly more than 0.1 %. So the bar is a classifier that guesses on 95 %
# of the images and knows the other 5 %. No network is published that bad; sensible preprocessing, however wrong in
# detail, stays far above it (42.7 % with red and blue swapped).
_KNOWN_SHARE = 0.05
_LEVEL = 0.05  # one-sided


def near_chance(evaluation: Evaluation, classes: int | None = None) -> bool:
    """Return whether top-1 accuracy is not significantly above what guessing on 95 % of the images gives.

    An exact binomial test of the tie-expected count, rounded down, at 5 % one-sided; so with 20 images of 1,000
    classes four right answers are enough to be believed.

    Args:
        evaluation: With labels.
        classes: How many classes guessing would choose from; None takes the model's.

    Raises:
        DataError: There are no labels.
    """
    counts = evaluation.top_k(1)
    p_value = stats.binomtest(
        math.floor(counts.expected_count), counts.n, believable_rate(classes or evaluation.classes), "greater"
    ).pvalue
    return bool(p_value > _LEVEL)


def believable_rate(classes: int) -> float:
    """Return the accuracy of guessing among ``classes`` on 95 % of the images and knowing the rest."""
    chance = 1 / classes
    return chance + _KNOWN_SHARE * (1 - chance)
