"""Are the calibration images kept apart from the evaluation images?"""

from __future__ import annotations

from collections.abc import Sequence

from quantize.data.image_set import ImageSet
from quantize.examination.findings import Examination, Finding, right, wrong
from quantize.provenance import sha256_bytes

_NAME = "calibration images"


def examine_calibration(
    images: ImageSet, calibration: Sequence[int], evaluation: Sequence[int], *, asked_for: bool
) -> Examination:
    """Return whether calibration images are evaluated too, by name or by content.

    Args:
        images: All images.
        calibration: Positions of the calibration images.
        evaluation: Positions of those that accuracy is measured on.
        asked_for: Whether the settings say that calibration images are evaluated too.
    """
    own = set(calibration)
    shared = [row for row in evaluation if row in own]
    if shared:
        return wrong(
            _NAME,
            f"{len(shared):,} of {len(own):,} are evaluated too",
            _leak(
                f"{len(shared):,} of {len(own):,} calibration images are among {len(evaluation):,} evaluation images",
                "Leave in_evaluation out." if asked_for else "Name other images in the calibration list.",
                "--in_evaluation false" if asked_for else "--calibration_list FILE",
            ),
        )
    contents = {_content(images, row): row for row in calibration}
    copies = [(row, contents[content]) for row in evaluation if (content := _content(images, row)) in contents]
    if not copies:
        return right(
            _NAME, f"{len(own):,}, none of them or of their copies among {len(evaluation):,} evaluation images"
        )
    row, original = copies[0]
    return wrong(
        _NAME,
        f"{len(copies):,} copies of them are evaluated",
        _leak(
            f"{len(copies):,} evaluation images hold the same bytes as a calibration image, such as "
            f"{images.records[row].id} and {images.records[original].id}",
            "Remove the copies.",
            None,
        ),
    )


def _leak(evidence: str, advice: str, command: str | None) -> Finding:
    return Finding(
        check=_NAME,
        what="Calibration images are evaluated too: the accuracy will look better than it is.",
        sure="certain",
        evidence=evidence,
        advice=advice,
        command=command,
    )


def _content(images: ImageSet, row: int) -> str | None:
    try:
        return sha256_bytes(images.read(row))
    except OSError:
        return None
