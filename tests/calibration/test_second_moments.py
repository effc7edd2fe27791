"""Second moments in their file, and over the samples of two collections."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.calibration.second_moments import MergedMoments, SecondMoments, stored_moments
from tests.calibration.test_store import DAMAGES, FINGERPRINTS


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_moments_are_made_again(tmp_path, damage):
    products = np.random.default_rng(0).normal(size=(1, 20, 20)).astype(np.float32)
    moments = {"a": SecondMoments(products, products[:, 0], 3)}
    stored_moments(tmp_path, FINGERPRINTS, lambda: moments.items())
    (path,) = tmp_path.iterdir()
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    again = stored_moments(tmp_path, FINGERPRINTS, lambda: moments.items())
    assert np.array_equal(again["a"].products, products)


def test_moments_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    moments = {
        "a": SecondMoments(
            rng.normal(size=(1, 4, 4)).astype(np.float32), rng.normal(size=(1, 4)).astype(np.float32), 3
        ),
        "b": SecondMoments(
            rng.normal(size=(3, 2, 2)).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32), 5
        ),
    }
    stored_moments(tmp_path, FINGERPRINTS, lambda: moments.items())
    stored = stored_moments(tmp_path, FINGERPRINTS, lambda: pytest.fail("collected again"))
    assert list(stored) == ["a", "b"]
    for name in moments:
        assert np.array_equal(stored[name].products, moments[name].products)
        assert np.array_equal(stored[name].means, moments[name].means)
        assert stored[name].samples == moments[name].samples


def test_moments_of_two_halves_merge_layer_by_layer(tmp_path):
    halves = [
        {"a": SecondMoments(np.full((1, 2, 2), value, np.float32), np.full((1, 2), value, np.float32), samples)}
        for value, samples in ((1.0, 3), (3.0, 1))
    ]
    merged = MergedMoments(*halves)
    assert list(merged) == ["a"]
    assert len(merged) == 1
    assert np.allclose(merged["a"].products, 1.5)
    assert merged["a"].samples == 4
    assert np.array_equal(merged["a"].means, halves[0]["a"].merged(halves[1]["a"]).means)


def test_whether_a_layer_has_moments_is_told_without_reading_them(tmp_path, monkeypatch):
    layer = SecondMoments(np.ones((1, 2, 2), np.float32), np.ones((1, 2), np.float32), 3)
    moments = stored_moments(tmp_path, FINGERPRINTS, lambda: [("layer", layer)])
    monkeypatch.setattr(np, "load", None)
    assert "layer" in MergedMoments(moments, moments)
    assert "other" not in MergedMoments(moments, moments)
