"""How often the intervals contain the true value, in 10,000 seeded simulated data sets per cell."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from quantize.evaluation.bootstrap import OutcomeCells, bootstrap_drop
from quantize.evaluation.intervals import wilson
from quantize.evaluation.score_intervals import difference_bounds, ratio_bounds

_DATA_SETS = 10_000
_IMAGES = (400, 1_000, 10_000)
_DISCORDANT = (0.02, 0.05, 0.10)
_DROPS = (0.0, 0.0025, 0.0037, 0.005685, 0.01, 0.02, 0.05, 0.10)  # as a fraction of the images
_CELLS = [cell for cell in product(_IMAGES, _DISCORDANT, _DROPS) if cell[2] <= cell[1]]
_BASELINE = 0.5685  # accuracy of the baseline
_Z = float(stats.norm.isf(0.025))
_Z_ONE_SIDED = float(stats.norm.isf(0.05))


def _simulate(n: int, discordant: float, drop: float, data_sets: int = _DATA_SETS) -> NDArray[Any]:
    """Return int (data_sets, 4): both right, lost, gained, neither."""
    lost, gained = (discordant + drop) / 2, (discordant - drop) / 2
    seed = [n, round(discordant * 1e6), round(drop * 1e6)]
    probabilities = [_BASELINE - lost, lost, gained, 1 - _BASELINE - gained]
    return np.random.default_rng(seed).multinomial(n, probabilities, size=data_sets)


def _few(n: int, discordant: float) -> bool:
    """Return whether a cell is known to over-cover, with eight to twenty discordant images expected."""
    return n * discordant <= 20


@pytest.fixture(scope="module")
def difference_coverage() -> dict[tuple[int, float, float], tuple[float, float]]:
    """Return (two-sided coverage, share of wrong one-sided certificates) of every cell."""
    coverage = {}
    for n, discordant, drop in _CELLS:
        counts, of_set = np.unique(_simulate(n, discordant, drop)[:, 1:3], axis=0, return_inverse=True)
        low, high = difference_bounds(counts[:, 0], counts[:, 1], n, _Z)
        _, certified = difference_bounds(counts[:, 0], counts[:, 1], n, _Z_ONE_SIDED)
        covered = ((low <= drop) & (drop <= high))[of_set.ravel()]
        coverage[n, discordant, drop] = float(covered.mean()), float((certified < drop)[of_set.ravel()].mean())
    return coverage


@pytest.fixture(scope="module")
def ratio_coverage() -> dict[tuple[int, float, float], tuple[float, float]]:
    """Return (two-sided coverage, share of wrong one-sided certificates) of every cell."""
    coverage = {}
    for n, discordant, drop in _CELLS:
        both, lost, gained, _ = _simulate(n, discordant, drop).T
        ratio = 1 - drop / _BASELINE
        low, high = ratio_bounds(both, lost, gained, n, _Z)
        certified, _ = ratio_bounds(both, lost, gained, n, _Z_ONE_SIDED)
        coverage[n, discordant, drop] = (
            float(((low <= ratio) & (ratio <= high)).mean()),
            float((certified > ratio).mean()),
        )
    return coverage


@pytest.mark.parametrize("kind", ["difference_coverage", "ratio_coverage"])
def test_score_intervals_at_95_percent_cover_at_least_94_percent_everywhere(
    kind: str, request: pytest.FixtureRequest
) -> None:
    coverage = {cell: two_sided for cell, (two_sided, _) in request.getfixturevalue(kind).items()}
    assert len(coverage) == len(_CELLS)
    assert {cell: share for cell, share in coverage.items() if share < 0.94} == {}


@pytest.mark.parametrize("kind", ["difference_coverage", "ratio_coverage"])
def test_score_intervals_over_cover_only_where_few_images_are_discordant(
    kind: str, request: pytest.FixtureRequest
) -> None:
    coverage = {cell: two_sided for cell, (two_sided, _) in request.getfixturevalue(kind).items()}
    over = {cell for cell, share in coverage.items() if share > 0.965}
    assert over
    assert all(_few(n, discordant) for n, discordant, _ in over)


@pytest.mark.parametrize("kind", ["difference_coverage", "ratio_coverage"])
def test_a_certificate_at_95_percent_is_wrong_at_most_once_in_twenty(kind: str, request: pytest.FixtureRequest) -> None:
    wrong = {cell: one_sided for cell, (_, one_sided) in request.getfixturevalue(kind).items()}
    simulation_error = 3 * np.sqrt(0.05 * 0.95 / _DATA_SETS)
    assert {cell: share for cell, share in wrong.items() if share > 0.05 + simulation_error} == {}
    assert np.mean(list(wrong.values())) <= 0.05


def test_without_the_continuity_correction_a_cell_falls_below_94_percent() -> None:
    counts = _simulate(400, 0.02, 0.01)
    low, high = difference_bounds(counts[:, 1], counts[:, 2], 400, _Z, continuity=0)
    assert ((low <= 0.01) & (high >= 0.01)).mean() < 0.943


@pytest.mark.parametrize("accuracy", [0.5685, 0.672, 0.7987])
@pytest.mark.parametrize("n", _IMAGES)
def test_wilson_intervals_cover(n: int, accuracy: float) -> None:
    counts, times = np.unique(np.random.default_rng(n).binomial(n, accuracy, _DATA_SETS), return_counts=True)
    covered = sum(times[i] for i, count in enumerate(counts) if accuracy in wilson(int(count), n))
    assert 0.94 <= covered / _DATA_SETS <= 0.965


@pytest.mark.parametrize("drop", [0.0, 0.01])
@pytest.mark.parametrize("discordant", _DISCORDANT)
@pytest.mark.parametrize("n", _IMAGES)
def test_the_paired_bootstrap_covers(n: int, discordant: float, drop: float) -> None:
    counts, times = np.unique(_simulate(n, discordant, drop)[:, 1:3], axis=0, return_counts=True)
    covered = 0
    for (lost, gained), often in zip(counts, times, strict=True):
        cells = OutcomeCells(
            np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([lost, gained, n - lost - gained])
        )
        # a seed of its own for every data set: one for all would give all the same Monte Carlo error
        interval = bootstrap_drop(cells, confidence=0.95, seed=int(lost) * n + int(gained), replicates=1_000)
        covered += often * (interval.low - 1e-12 <= drop <= interval.high + 1e-12)
    assert 0.94 <= covered / _DATA_SETS <= (0.985 if _few(n, discordant) else 0.97)


def test_the_paired_bootstrap_covers_where_ties_make_outcomes_fractional() -> None:
    n, generator = 500, np.random.default_rng(11)
    baseline, candidate = np.array([1, 1, 1, 0, 0, 0.0]), np.array([1, 0, 0.5, 1, 0, 0.5])
    probabilities = np.array([0.6, 0.03, 0.03, 0.02, 0.305, 0.015])
    truth = float(probabilities @ (baseline - candidate))
    intervals = [
        bootstrap_drop(OutcomeCells(baseline, candidate, counts), confidence=0.95, seed=seed, replicates=1_000)
        for seed, counts in enumerate(generator.multinomial(n, probabilities, size=4_000))
    ]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.94 <= covered <= 0.965
