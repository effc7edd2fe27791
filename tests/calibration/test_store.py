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

    first = stored_statistics(tmp_path, FINGERPRINTS, counted)
    assert stored_statistics(tmp_path, FINGERPRINTS, counted) == first
    assert len(calls) == 1


def test_other_images_or_another_model_are_collected_anew(small_model, images, batches_of, tmp_path):
    calls = []

    def counted():
        calls.append(1)
        return collect(small_model, batches_of(images, 3))

    stored_statistics(tmp_path, FINGERPRINTS, counted)
    for changed in ("model", "images"):
        stored_statistics(tmp_path, FINGERPRINTS | {changed: "c"}, counted)
    assert len(calls) == 3


def flipped(content):
    """A file with one bit of its data changed."""
    return bytes(byte ^ (at == len(content) // 2) for at, byte in enumerate(content))


DAMAGES = {
    "cut off": lambda content: content[:100],
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
    "text": lambda _: b"no space left on device\n",
    "one bit": flipped,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(small_model, images, batches_of, tmp_path, damage):
    def collected():
        return collect(small_model, batches_of(images, 3))

    first = stored_statistics(tmp_path, FINGERPRINTS, collected)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert stored_statistics(tmp_path, FINGERPRINTS, collected) == first
    assert load_statistics(path) == first


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_moments_are_made_again(tmp_path, damage):
    products = np.random.default_rng(0).normal(size=(1, 20, 20)).astype(np.float32)
    moments = {"a": SecondMoments(products, products[:, 0], 3)}
    stored_moments(tmp_path, FINGERPRINTS, lambda: moments)
    (path,) = tmp_path.iterdir()
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    again = stored_moments(tmp_path, FINGERPRINTS, lambda: moments)
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
    stored_moments(tmp_path, FINGERPRINTS, lambda: moments)
    found = stored_moments(tmp_path, FINGERPRINTS, lambda: pytest.fail("collected again"))
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
