from __future__ import annotations

import numpy as np
import pytest

from quantize.calibration.collect import collect
from quantize.calibration.moment_store import MergedMoments, stored_moments
from quantize.calibration.second_moments import SecondMoments
from quantize.calibration.store import load_statistics, save_statistics, stored_statistics

FINGERPRINTS = {"model": "a", "images": "b"}


def test_statistics_come_back_from_their_file_bit_for_bit(small_model, images, batches_of, tmp_path):
    statistics = collect(small_model, batches_of(images, 3), fingerprints=FINGERPRINTS)
    save_statistics(statistics, tmp_path / "s.npz")
    assert load_statistics(tmp_path / "s.npz") == statistics


def test_the_second_run_reuses_what_the_first_collected(small_model, images, batches_of, tmp_path):
    calls = []

    def counted():
        calls.append(1)
        return collect(small_model, batches_of(images, 3), fingerprints=FINGERPRINTS)

    first, reused = stored_statistics(tmp_path, FINGERPRINTS, counted)
    assert not reused
    second, reused = stored_statistics(tmp_path, FINGERPRINTS, counted)
    assert reused
    assert second == first
    assert len(calls) == 1


def test_other_images_or_another_model_are_collected_anew(small_model, images, batches_of, tmp_path):
    def collected():
        return collect(small_model, batches_of(images, 3))

    stored_statistics(tmp_path, FINGERPRINTS, collected)
    for changed in ("model", "images"):
        assert stored_statistics(tmp_path, FINGERPRINTS | {changed: "c"}, collected)[1] is False


def test_a_damaged_file_is_made_again(small_model, images, batches_of, tmp_path):
    def collected():
        return collect(small_model, batches_of(images, 3))

    first, _ = stored_statistics(tmp_path, FINGERPRINTS, collected)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    again, reused = stored_statistics(tmp_path, FINGERPRINTS, collected)
    assert not reused
    assert again == first


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
    assert stored_moments(tmp_path, FINGERPRINTS, lambda: moments)[1] is False
    found, reused = stored_moments(tmp_path, FINGERPRINTS, lambda: pytest.fail("collected again"))
    assert reused
    assert list(found) == ["a", "b"]
    for name in moments:
        assert np.array_equal(found[name].products, moments[name].products)
        assert np.array_equal(found[name].means, moments[name].means)
        assert found[name].samples == moments[name].samples


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
