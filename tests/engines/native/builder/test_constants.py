"""A model's constants are replaced apart from it."""

from __future__ import annotations

import numpy as np

from quantize.engines.native.builder.constants import Constants


def test_what_is_replaced_keeps_its_place_and_what_is_added_comes_last(model):
    constants = Constants.of(model)
    names = list(constants)
    constants.replace(names[0], np.ones((2, 2)))
    constants.replace("added", np.zeros(3))
    assert list(constants) == [*names, "added"]
    assert np.array_equal(constants.values_of(names[0]), np.ones((2, 2), np.float32))
    assert constants.values_of("added").dtype == np.float32


def test_the_model_is_not_changed(model):
    before = model.SerializeToString()
    constants = Constants.of(model)
    constants.replace(next(iter(constants)), np.ones(1))
    assert model.SerializeToString() == before
