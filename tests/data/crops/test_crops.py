from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from quantize.data.containers.registry import open_images
from quantize.data.crops.cache import remove_crops
from quantize.data.crops.crops import Crops, Skipped, crop_images
from quantize.data.decoding import decode_image
from quantize.data.image_set import ImageRecord, ImageSet, ImageSource, Locator
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError, StorageError

Flat = Callable[[int], tuple[Path, Path]]
Picture = Callable[..., bytes]
SMALL = PRESETS["caffe"].for_input_size(8, 8)


class CountingSource:
    """Counts the images that are read."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self.reads: list[Locator] = []

    def read(self, locator: Locator) -> bytes:
        self.reads.append(locator)
        return self.source.read(locator)

    def state(self, locator: Locator) -> tuple[int, ...]:
        return self.source.state(locator)


def counted(folder: Path, labels: Path) -> tuple[ImageSet, list[Locator]]:
    images = open_images(folder, labels, classes=None)
    source = CountingSource(images.source)
    return replace(images, source=source), source.reads


def truncate(folder: Path, numbers: Sequence[int]) -> None:
    for number in numbers:
        path = folder / f"picture {number:03d}.JPEG"
        path.write_bytes(path.read_bytes()[:-20])


def test_crops_are_the_images_in_their_order(flat: Flat, tmp_path: Path) -> None:
    images = open_images(*flat(5), classes=None)
    crops = crop_images(images, SMALL, tmp_path / "cache")
    assert crops.ids == tuple(record.id for record in images.records)
    assert crops.labels is not None
    assert crops.labels.tolist() == [0, 1, 2, 3, 4]
    assert crops.array.shape == (5, 8, 8, 3)
    for index in range(5):
        assert np.array_equal(crops.array[index], SMALL.crop_image(decode_image(images.read(index))))


def test_worker_processes_give_the_same_crops_as_this_process(flat: Flat, tmp_path: Path) -> None:
    images = open_images(*flat(40), classes=None)
    steps: list[tuple[int, int | None]] = []
    here = crop_images(images, SMALL, tmp_path / "here", workers=1)
    there = crop_images(
        images, SMALL, tmp_path / "there", workers=2, progress=lambda stage, done, total: steps.append((done, total))
    )
    assert np.array_equal(here.array[:], there.array[:])
    assert here.fingerprint == there.fingerprint
    assert steps[0] == (0, 40)
    assert steps[-1] == (40, 40)


def test_the_second_run_decodes_nothing(flat: Flat, tmp_path: Path) -> None:
    images, reads = counted(*flat(4))
    first = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert len(reads) == 4
    second = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert len(reads) == 4
    assert np.array_equal(first.array[:], second.array[:])


def test_other_labels_use_the_same_cache(flat: Flat, tmp_path: Path) -> None:
    folder, labels = flat(4)
    crop_images(open_images(folder, labels, classes=None), SMALL, tmp_path / "cache")
    labels.write_text(labels.read_text().replace(" 3\n", " 9\n"))
    images, reads = counted(folder, labels)
    crops = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert crops.labels is not None
    assert (crops.labels.tolist(), reads) == ([0, 1, 2, 9], [])


def test_normalization_does_not_decide_the_cache_but_the_size_does(flat: Flat, tmp_path: Path) -> None:
    images, reads = counted(*flat(3))
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    crop_images(images, SMALL.model_copy(update={"scale": 2.0}), tmp_path / "cache", workers=1)
    assert len(reads) == 3
    crop_images(images, PRESETS["caffe"].for_input_size(9, 9), tmp_path / "cache", workers=1)
    assert len(reads) == 6


def test_a_changed_image_alone_is_decoded_again(flat: Flat, tmp_path: Path, picture: Picture) -> None:
    folder, labels = flat(4)
    images, reads = counted(folder, labels)
    before = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    changed = folder / "picture 002.JPEG"
    status = changed.stat()
    changed.write_bytes(picture(99))
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert reads[4:] == [("picture 002.JPEG",)]
    assert np.array_equal(after.array[2], SMALL.crop_image(decode_image(picture(99))))
    assert np.array_equal(after.array[[0, 1, 3]], before.array[[0, 1, 3]])


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-100], id="cut off"),
        pytest.param(lambda content: content[:200] + b"\x01\x02\x03" + content[203:], id="other bytes"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: b"\0" * len(content), id="zeros"),
        pytest.param(lambda content: content + content, id="too long"),
    ],
)
def test_a_damaged_cache_is_not_trusted(flat: Flat, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    images = open_images(*flat(4), classes=None)
    before = crop_images(images, SMALL, tmp_path / "cache").array[:]
    (file,) = (tmp_path / "cache").glob("*.npy")
    file.write_bytes(damage(file.read_bytes()))
    again = crop_images(images, SMALL, tmp_path / "cache")
    assert np.array_equal(again.array[:], before)
    assert np.array_equal(np.load(file), before)


@pytest.mark.parametrize("index", ["", "{}", "[]", '{"rows": [1]}', None])
def test_crops_without_a_complete_index_are_decoded_again(flat: Flat, tmp_path: Path, index: str | None) -> None:
    images, reads = counted(*flat(3))
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    (file,) = (tmp_path / "cache").glob("*.json")
    if index is None:
        file.unlink()
    else:
        file.write_text(index)
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert len(reads) == 6


def test_crops_of_another_decoder_are_decoded_again(flat: Flat, tmp_path: Path) -> None:
    images, reads = counted(*flat(3))
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    (file,) = (tmp_path / "cache").glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"decoder": "0"}))
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert len(reads) == 6


def test_a_failed_run_leaves_nothing_half_done_in_the_cache(flat: Flat, tmp_path: Path) -> None:
    class Interrupted(CountingSource):
        def read(self, locator: Locator) -> bytes:
            raise KeyboardInterrupt

    images = open_images(*flat(3), classes=None)
    with pytest.raises(KeyboardInterrupt):
        crop_images(replace(images, source=Interrupted(images.source)), SMALL, tmp_path / "cache", workers=1)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


def test_what_a_killed_run_left_is_removed(flat: Flat, tmp_path: Path) -> None:
    images = open_images(*flat(3), classes=None)
    crop_images(images, SMALL, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.npy")
    part = file.with_name(f".{file.name}.x.part")
    part.touch()
    file.unlink()
    crop_images(images, SMALL, tmp_path / "cache")
    assert not part.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_images_are_listed_with_line_and_count(flat: Flat, tmp_path: Path, workers: int) -> None:
    folder, labels = flat(40)
    truncate(folder, range(3, 40, 3))
    with pytest.raises(DataError) as caught:
        crop_images(open_images(folder, labels, classes=None), SMALL, tmp_path / "cache", workers=workers)
    assert caught.value.problem == f"13 problems in {folder}"
    listed = str(caught.value.found).split("; ")
    assert listed[0].startswith(f"{labels}:4: picture 003.JPEG: unreadable image: image file is truncated")
    assert [line.split(" ")[1] + line.split(" ")[2] for line in listed[:10]] == [
        f"picture{number:03d}.JPEG:" for number in range(3, 33, 3)
    ]
    assert listed[10] == "and 3 more"


def test_skipping_keeps_ids_labels_and_crops_together(flat: Flat, tmp_path: Path) -> None:
    folder, labels = flat(5)
    truncate(folder, [1, 3])
    images = open_images(folder, labels, classes=None)
    crops = crop_images(images, SMALL, tmp_path / "cache", skip_unreadable=True)
    assert crops.ids == ("picture 000.JPEG", "picture 002.JPEG", "picture 004.JPEG")
    assert crops.labels is not None
    assert crops.labels.tolist() == [0, 2, 4]
    assert np.array_equal(crops.array[1], SMALL.crop_image(decode_image(images.read(2))))
    assert [skipped.id for skipped in crops.skipped] == ["picture 001.JPEG", "picture 003.JPEG"]
    assert all("truncated" in skipped.reason for skipped in crops.skipped)


def test_a_repaired_image_is_read_without_decoding_the_others_again(
    flat: Flat, tmp_path: Path, picture: Picture
) -> None:
    folder, labels = flat(4)
    truncate(folder, [1])
    images, reads = counted(folder, labels)
    with pytest.raises(DataError, match="unreadable image: image file is truncated"):
        crop_images(images, SMALL, tmp_path / "cache", workers=1)
    (folder / "picture 001.JPEG").write_bytes(picture(1))
    crops = crop_images(images, SMALL, tmp_path / "cache", workers=1)
    assert reads[4:] == [("picture 001.JPEG",)]
    assert len(crops) == 4
    assert np.array_equal(crops.array[1], SMALL.crop_image(decode_image(picture(1))))


def test_an_image_that_vanished_after_listing_is_unreadable(flat: Flat, tmp_path: Path) -> None:
    folder, labels = flat(3)
    images = open_images(folder, labels, classes=None)
    (folder / "picture 001.JPEG").unlink()
    crops = crop_images(images, SMALL, tmp_path / "cache", skip_unreadable=True)
    assert crops.skipped == (Skipped("picture 001.JPEG", "No such file or directory"),)


def test_nothing_but_unreadable_images_is_an_error_even_when_skipping(flat: Flat, tmp_path: Path) -> None:
    folder, labels = flat(2)
    truncate(folder, [0, 1])
    with pytest.raises(DataError, match="2 problems"):
        crop_images(open_images(folder, labels, classes=None), SMALL, tmp_path / "cache", skip_unreadable=True)


def test_a_cache_folder_that_cannot_be_made_is_named(flat: Flat, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Not a directory") as caught:
        crop_images(open_images(*flat(2), classes=None), SMALL, tmp_path / "file" / "cache")
    assert caught.value.where == str(tmp_path / "file" / "cache")


def test_the_fingerprint_depends_on_contents_and_labels_alone(flat: Flat, tmp_path: Path) -> None:
    images = open_images(*flat(4), classes=None)
    crops = crop_images(images, SMALL, tmp_path / "cache")
    renamed = tuple(
        ImageRecord(f"n{index}", record.label, record.locator) for index, record in enumerate(reversed(images.records))
    )
    other = crop_images(replace(images, records=renamed), SMALL, tmp_path / "other")
    relabelled = replace(crops, labels=np.array([0, 1, 2, 2]))
    assert other.fingerprint == crops.fingerprint
    assert relabelled.fingerprint != crops.fingerprint
    assert crops.subset([0, 1, 2]).fingerprint != crops.fingerprint
    assert crops.subset([3, 1, 2, 0]).fingerprint == crops.fingerprint
    assert replace(crops, labels=None).fingerprint != crops.fingerprint


def test_a_subset_reads_its_own_rows(flat: Flat, tmp_path: Path) -> None:
    crops = crop_images(open_images(*flat(6), classes=None), SMALL, tmp_path / "cache")
    part = crops.subset([4, 1]).subset(np.array([1, 0]))  # type: ignore[arg-type]
    assert part.ids == ("picture 001.JPEG", "picture 004.JPEG")
    assert part.labels is not None
    assert part.labels.tolist() == [1, 4]
    assert np.array_equal(part.array[:], crops.array[[1, 4]])
    assert np.array_equal(np.asarray(part.array), crops.array[[1, 4]])


def test_crops_travel_to_another_process_as_a_path(flat: Flat, tmp_path: Path) -> None:
    crops = crop_images(open_images(*flat(6), classes=None), SMALL, tmp_path / "cache")
    expected = crops.array[:]
    content = pickle.dumps(crops)
    assert len(content) < expected.nbytes + 2000
    copy: Crops = pickle.loads(content)
    assert np.array_equal(copy.array[:], expected)
    assert copy.fingerprint == crops.fingerprint


def test_a_file_that_another_run_replaced_is_not_read_by_mistake(flat: Flat, tmp_path: Path, picture: Picture) -> None:
    folder, labels = flat(3)
    images = open_images(folder, labels, classes=None)
    content = pickle.dumps(crop_images(images, SMALL, tmp_path / "cache"))
    (folder / "picture 001.JPEG").write_bytes(picture(50))
    crop_images(images, SMALL, tmp_path / "cache")
    with pytest.raises(RuntimeError, match="replaced by another run"):
        pickle.loads(content).array[0]


def test_a_run_waits_for_another_one_that_decodes_the_same_images(flat: Flat, tmp_path: Path) -> None:
    images, reads = counted(*flat(3))
    crop_images(images, SMALL, tmp_path / "cache", workers=1)
    (path,) = (tmp_path / "cache").glob("*.lock")
    other = FileLock(path, thread_local=False, is_singleton=False)
    other.acquire()
    stages: list[str] = []

    def report(stage: str, done: int, total: int | None) -> None:
        stages.append(stage)
        other.release()

    crop_images(images, SMALL, tmp_path / "cache", workers=1, progress=report)
    assert (stages, len(reads)) == (["wait for another run that decodes the same images"], 3)


def test_crops_are_removed_when_asked_unless_a_run_is_filling_them(flat: Flat, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    images = open_images(*flat(3), classes=None)
    crops = crop_images(images, SMALL, cache)
    expected = crops.array[:]
    (cache / "other.txt").touch()
    with FileLock(next(cache.glob("*.lock"))):
        assert remove_crops(cache) == 0
    assert remove_crops(cache) > 3 * 8 * 8 * 3
    assert not list(cache.glob("crops-*.npy")) + list(cache.glob("*.json"))
    assert (cache / "other.txt").exists()
    assert np.array_equal(crops.array[:], expected)


def test_unlabelled_images_have_no_labels(flat: Flat, tmp_path: Path) -> None:
    folder, _ = flat(2)
    assert crop_images(open_images(folder, None, classes=None), SMALL, tmp_path / "cache").labels is None
