from __future__ import annotations

import pytest

from quantize.calibration.collect import collect
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


def test_other_images_or_another_model_are_collected_again(small_model, images, batches_of, tmp_path):
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
