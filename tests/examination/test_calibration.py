from __future__ import annotations

from pathlib import Path

import pytest

from quantize.data.containers.registry import open_images
from quantize.data.image_set import ImageSet
from quantize.examination.calibration import examine_calibration


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Return four image files, of which the first and the last hold the same bytes."""
    for number, content in enumerate((b"a", b"b", b"c", b"a")):
        (tmp_path / f"{number}.png").write_bytes(content)
    return open_images(tmp_path, None, classes=None)


def test_images_kept_apart_are_right(images: ImageSet) -> None:
    examination = examine_calibration(images, [0], [1, 2], asked_for=False)
    assert examination.check.outcome == "right"
    assert examination.findings == ()


@pytest.mark.parametrize(
    ("asked_for", "command"), [(True, "--in_evaluation false"), (False, "--calibration_list FILE")]
)
def test_calibration_images_that_are_evaluated_are_found_by_name(
    images: ImageSet, asked_for: bool, command: str
) -> None:
    (finding,) = examine_calibration(images, [0, 1], [1, 2], asked_for=asked_for).findings
    assert finding.evidence == "1 of 2 calibration images are among 2 evaluation images"
    assert finding.command == command


def test_copies_of_calibration_images_are_found_by_content(images: ImageSet) -> None:
    (finding,) = examine_calibration(images, [0], [1, 3], asked_for=False).findings
    assert "1 evaluation images hold the same bytes" in finding.evidence
    assert "3.png and 0.png" in finding.evidence


def test_an_image_that_cannot_be_read_is_no_copy(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "3.png").unlink()
    assert examine_calibration(images, [0], [1, 3], asked_for=False).check.outcome == "right"
