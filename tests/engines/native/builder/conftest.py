from __future__ import annotations

import pytest

from quantize.calibration.collect import collect
from quantize.calibration.moment_pass import collect_second_moments
from quantize.engines.native.builder.layers import windows
from tests.engines.native.builder.small_model import BATCHES, classifier


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def statistics(model):
    return collect(model, BATCHES)


@pytest.fixture(scope="module")
def moments(model):
    return dict(collect_second_moments(model, list(windows(model)), BATCHES))
