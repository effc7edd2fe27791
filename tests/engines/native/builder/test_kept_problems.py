from __future__ import annotations

import numpy as np
import pytest

from quantize.engines.native.builder.kept_problems import KeptProblems
from quantize.engines.native.builder.rounding_problem import RoundingProblem


class Maker:
    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return RoundingProblem.of(np.eye(8)[None])


@pytest.fixture
def make():
    return Maker()


def test_a_problem_is_made_once_for_whoever_asks_for_it(make):
    kept = KeptProblems()
    assert kept.of("even", "conv", make) is kept.of("even", "conv", make)
    kept.of("odd", "conv", make)
    assert make.made == 2


def test_what_does_not_fit_is_made_again_each_time_and_what_fits_is_kept(make):
    one = RoundingProblem.of(np.eye(8)[None]).bytes
    kept = KeptProblems(2.5 * one)
    for _ in range(3):
        for name in ("first", "second", "third"):
            kept.of("all", name, make)
    assert make.made == 2 + 3


def test_what_one_forgets_makes_room_and_others_keep_theirs(make):
    kept = KeptProblems(RoundingProblem.of(np.eye(8)[None]).bytes)
    kept.of("even", "conv", make)
    kept.forget("odd")
    kept.of("even", "conv", make)
    assert make.made == 1
    kept.forget("even")
    assert kept.of("odd", "conv", make) is kept.of("odd", "conv", make)
    assert make.made == 2
