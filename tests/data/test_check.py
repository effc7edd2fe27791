from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantize.data.check import DataCheck, Duplicate, check_data
from quantize.data.contact_sheet import contact_sheet
from quantize.data.containers.registry import open_images

Flat = Callable[[int], tuple[Path, Path]]


def name(number: int) -> str:
    return f"picture {number:03d}.JPEG"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_right_data_set_is_sound(flat: Flat, workers: int) -> None:
    steps: list[int] = []
    report = check_data(
        open_images(*flat(20), classes=1000), workers=workers, progress=lambda stage, done, total: steps.append(done)
    )
    assert report.sound
    assert report.images == 20
    assert report.class_counts == tuple((label, 1) for label in range(20))
    assert (report.formats, report.modes) == ((("JPEG", 20),), (("RGB", 20),))
    assert report.unreadable == report.converted == report.turned == report.duplicates == ()
    assert (report.shortest_side, report.calibration) == (30, None)
    assert (steps[0], steps[-1]) == (0, 20)


def checked(flat: Flat, change: Callable[[Path], None], **options: object) -> DataCheck:
    folder, labels = flat(6)
    change(folder)
    return check_data(open_images(folder, labels, classes=1000), **options)  # type: ignore[arg-type]


def test_unreadable_images_are_listed_with_the_reason(flat: Flat) -> None:
    report = checked(flat, lambda folder: (folder / name(2)).write_bytes(b"no image") and None)
    assert [(skipped.id, skipped.reason) for skipped in report.unreadable] == [(name(2), "not an image file")]
    assert not report.sound
    assert report.modes == (("RGB", 5),)


def test_images_that_need_conversion_or_turning_are_listed(flat: Flat) -> None:
    def change(folder: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("L", (50, 20)).save(folder / name(1))
        Image.new("RGB", (50, 50)).save(folder / name(3), exif=exif)
        Image.new("CMYK", (50, 50)).save(folder / name(4))

    report = checked(flat, change)
    assert report.converted == ((name(1), "L"), (name(4), "CMYK"))
    assert report.turned == (name(3),)
    assert report.shortest_side == 20
    assert report.modes[0] == ("RGB", 4)
    assert report.sound


def test_duplicates_are_found_by_content_and_contradict_with_other_labels(flat: Flat) -> None:
    report = checked(flat, lambda folder: (folder / name(4)).write_bytes((folder / name(1)).read_bytes()) and None)
    assert report.duplicates == report.contradictions == (Duplicate((name(1), name(4)), (1, 4)),)
    assert not report.sound


def test_an_evaluation_image_with_the_content_of_a_calibration_image_is_found(flat: Flat) -> None:
    def change(folder: Path) -> None:
        (folder / name(4)).write_bytes((folder / name(1)).read_bytes())

    report = checked(flat, change, calibration=[name(1), name(2)])
    assert (report.calibration, report.calibration_in_evaluation) == (2, (name(4),))


def test_calibration_images_that_are_also_evaluated_are_all_listed(flat: Flat) -> None:
    report = checked(flat, lambda folder: None, calibration=[name(1), name(2)], in_evaluation=True)
    assert report.calibration_in_evaluation == (name(1), name(2))


def test_notes_of_the_listing_are_kept(flat: Flat) -> None:
    folder, labels = flat(6)
    labels.write_text(labels.read_text().split("\n", 1)[1])
    assert len(check_data(open_images(folder, labels, classes=1000)).notes) == 1


def test_a_contact_sheet_shows_images_of_all_labels(flat: Flat, tmp_path: Path) -> None:
    folder, labels = flat(12)
    (folder / name(0)).write_bytes(b"no image")
    names = [f"class {label}" for label in range(11)]
    shown = contact_sheet(
        open_images(folder, labels, classes=1000), tmp_path / "sheet.png", class_names=names, count=6, columns=4
    )
    assert shown == tuple(name(number) for number in range(0, 12, 2))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (6 + 2 * 164, 6 + 4 * 134, 3)
    assert (sheet[70, 70] == 211).all()
    assert (sheet[6 + 164 : 6 + 164 + 128, 6 + 134 * 2 :] == 255).all()


def test_a_contact_sheet_of_unlabelled_images_shows_them_all(flat: Flat, tmp_path: Path) -> None:
    folder, _ = flat(3)
    assert len(contact_sheet(open_images(folder, None, classes=None), tmp_path / "sheet.png")) == 3
