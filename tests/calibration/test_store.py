from __future__ import annotations

import json
import zipfile

import numpy as np
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


def forged(change):
    """Arrays that whoever gives away a run's folder has written, in a file that is whole."""

    def damage(path):
        with np.load(path) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        header = json.loads(str(kept["header"]))
        change(kept, header)
        if "header" in kept:
            kept["header"] = json.dumps(header)
        np.savez(path, **kept)

    return damage


def packed(path):
    """A file of little bytes that unpacks to more than any memory holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", bytes(1 << 20))


FORGERIES = {
    "no header": forged(lambda arrays, _: arrays.pop("header")),
    "no tensors": forged(lambda _, header: header.pop("tensors")),
    "tensors of another form": forged(lambda _, header: header.update(tensors=5)),
    "more bins than there are": forged(lambda _, header: header["tensors"][0].update(bins=1 << 30)),
    "a range that is none": forged(lambda _, header: header["tensors"][0].update(minimum="a")),
    "a range without end": forged(lambda _, header: header["tensors"][0].update(maximum=float("inf"))),
    "means of no images": forged(lambda _, header: header["tensors"][0].update(images=0)),
    "bins of text": forged(lambda arrays, _: arrays.update(bins=np.array(["a", "b"]))),
    "bins in another order": forged(lambda arrays, _: arrays.update(bins=arrays["bins"][::-1])),
    "counts below nothing": forged(lambda arrays, _: arrays.update(counts=-arrays["counts"])),
    "compressed": packed,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_made_again(small_model, images, batches_of, tmp_path, forgery):
    def collected():
        return collect(small_model, batches_of(images, 3))

    first = stored_statistics(tmp_path, FINGERPRINTS, collected)
    (path,) = tmp_path.iterdir()
    FORGERIES[forgery](path)
    assert load_statistics(path) is None
    assert stored_statistics(tmp_path, FINGERPRINTS, collected) == first
