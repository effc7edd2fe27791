"""Values of a tensor, as the range rules see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantize.grid.histogram import Distribution, Histogram


def distribution(values: Any) -> Distribution:
    values = np.asarray(values, np.float32)
    return Distribution(Histogram.of(values), float(values.min()), float(values.max()))


@pytest.fixture(scope="session")
def relu() -> Distribution:
    """The positive half of a normal distribution, with as many zeros."""
    return distribution(np.maximum(np.random.default_rng(1).normal(0, 1, 100_000), 0))


@pytest.fixture(scope="session")
def outlier() -> Distribution:
    """A normal distribution and one value far outside."""
    return distribution(np.append(np.random.default_rng(2).normal(0, 1, 100_000), 1000.0))
