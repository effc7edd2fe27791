"""Scales are kept by the weights and by what of a recipe decides them."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from quantize.engines.native.builder import kept_scales
from quantize.engines.native.builder.kept_scales import KeptScales, digest_of
from quantize.engines.native.builder.weight_scales import WEIGHT_MSE, saturates, weight_scales
from quantize.recipe import Recipe

ROWS = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
PLAIN = Recipe(engine="native", range_rule="minmax")
RECIPES = {
    "plain": (127, PLAIN),
    "of 7 bits": (63, PLAIN),
    "per tensor": (127, PLAIN.but(per_channel=False)),
    "by the squared error": (127, PLAIN.but(corrections=(WEIGHT_MSE,))),
}


@pytest.mark.parametrize(("level", "recipe"), RECIPES.values(), ids=RECIPES)
def test_kept_scales_are_those_of_the_weights_whatever_was_asked_before(level: int, recipe: Recipe) -> None:
    kept = KeptScales()
    for other_level, other in RECIPES.values():
        kept.of(ROWS, digest_of(ROWS), other_level, other)
        kept.of(2 * ROWS, digest_of(2 * ROWS), other_level, other)
    assert np.array_equal(kept.of(ROWS, digest_of(ROWS), level, recipe), weight_scales(ROWS, level, recipe))


def test_scales_of_the_same_weights_are_looked_for_once() -> None:
    kept = KeptScales()
    with patch.object(kept_scales, "weight_scales", wraps=weight_scales) as looked:
        first = kept.of(ROWS, digest_of(ROWS), 127, PLAIN)
        again = kept.of(ROWS.copy(), digest_of(ROWS.copy()), 127, PLAIN.but(float_nodes=("head",), range_rule="mse"))
    assert looked.call_count == 1
    assert np.array_equal(first, again)


def test_what_is_kept_cannot_be_changed_by_who_asked() -> None:
    scales = KeptScales().of(ROWS, digest_of(ROWS), 127, PLAIN)
    with pytest.raises(ValueError, match="read-only"):
        scales *= 2


@pytest.mark.parametrize("rows", [np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32)], ids=["no", "yes"])
def test_whether_weights_saturate_is_kept_as_it_is(rows: np.ndarray) -> None:
    kept = KeptScales()
    kept.saturates(1 - rows, digest_of(1 - rows))
    answers = {kept.saturates(rows, digest_of(rows)) for _ in range(2)}
    assert answers == {saturates(rows)}


def test_equal_numbers_in_another_shape_are_other_weights() -> None:
    assert digest_of(ROWS) != digest_of(ROWS.reshape(9, 4))
    assert digest_of(np.ascontiguousarray(ROWS.T)) == digest_of(ROWS.T)
