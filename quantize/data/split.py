"""The split of the images into calibration, evaluation and certification."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.data.labels.label_file import read_lines
from quantize.data.problems import Problems
from quantize.errors import ConfigError, DataError
from quantize.provenance import sha256_bytes


@dataclass(frozen=True)
class Split:
    """Positions in the list of images, each group in a fixed order.

    Attributes:
        calibration: Images that ranges and means are collected from.
        evaluation: Images that trials are compared on.
        certification: Images that no trial sees; empty where there are too few.
    """

    calibration: tuple[int, ...]
    evaluation: tuple[int, ...]
    certification: tuple[int, ...]


def split(
    ids: Sequence[str],
    *,
    calibration_size: int,
    in_evaluation: bool,
    certification_share: float,
    seed: int,
    calibration_ids: Sequence[str] | None = None,
) -> Split:
    """Return the split of some images, drawn with a seed.

    An image is drawn by a hash of the seed and the last part of its name. So the draw does not depend on the order of
    the images, nor on whether they lie flat, in class folders or in an archive, and it barely changes when images are
    added. The certification images are never calibration images, and never in ``evaluation``.

    Args:
        ids: Names of all images.
        calibration_size: How many images calibrate; not used with ``calibration_ids``.
        in_evaluation: Whether the calibration images are evaluated too.
        certification_share: Share, 0 to below 1, of the evaluation images that are kept for the certificate.
        seed: Of the draw.
        calibration_ids: The calibration images by name, instead of a draw (see ``read_calibration_list``).

    Raises:
        ConfigError: A size or share that the images cannot give.
        DataError: A calibration image is not among the images.
        ValueError: ``ids`` holds a name twice.
    """
    positions = {image_id: position for position, image_id in enumerate(ids)}
    if len(positions) != len(ids):
        raise ValueError("an image's name is there twice")
    if not 0 <= certification_share < 1:
        raise ConfigError(
            "the share of images kept for certification is out of range",
            where="tuning.certification",
            found=str(certification_share),
            expected="a number from 0 to below 1",
        )
    if calibration_ids is None:
        calibration = _drawn(ids, range(len(ids)), calibration_size, f"calibration {seed}")
    else:
        unknown = [image_id for image_id in calibration_ids if image_id not in positions]
        if unknown:
            raise DataError(f"{len(unknown):,} calibration images are not in the data", found=", ".join(unknown[:10]))
        calibration = {positions[image_id] for image_id in calibration_ids}
    asked = calibration_size if calibration_ids is None else len(calibration_ids)
    others = [position for position in range(len(ids)) if position not in calibration]
    if not 1 <= asked <= len(ids) or not (others or in_evaluation):
        raise ConfigError(
            "no calibration images are asked for" if asked < 1 else "too many calibration images for the data",
            where="quantization.calibration.sampling_size",
            found=f"{asked:,} of {len(ids):,} images",
            expected="at least 1, and images left to evaluate",
            advice="ask for fewer, or evaluate on the calibration images too (in_evaluation: true)",
        )
    evaluation_count = len(ids) if in_evaluation else len(others)
    kept = min(int(certification_share * evaluation_count), len(others))
    certification = _drawn(ids, others, kept, f"certification {seed}")
    evaluated = range(len(ids)) if in_evaluation else others
    return Split(
        calibration=_ordered(ids, calibration),
        evaluation=_ordered(ids, (position for position in evaluated if position not in certification)),
        certification=_ordered(ids, certification),
    )


def _drawn(ids: Sequence[str], positions: Iterable[int], count: int, purpose: str) -> set[int]:
    def lot(position: int) -> tuple[str, str]:
        image_id = ids[position]
        return sha256_bytes(f"{purpose} {posixpath.basename(image_id)}".encode()), image_id

    return set(sorted(positions, key=lot)[:count])


def _ordered(ids: Sequence[str], positions: Iterable[int]) -> tuple[int, ...]:
    """Return positions sorted by name: the last part first, so that the container does not matter."""
    return tuple(sorted(positions, key=lambda position: (posixpath.basename(ids[position]), ids[position])))


def read_calibration_list(path: Path, ids: Sequence[str], *, skipped: Collection[str] = ()) -> tuple[str, ...]:
    """Return the images that a list names, in its order.

    A line is an image's name, with or without a label behind it. A name is looked up as it stands, then by its last
    part where one image alone has that. Blank lines are passed over.

    Args:
        path: The list, UTF-8 text.
        ids: Names of all images.
        skipped: Names of images that were left out as unreadable: the list may name them, to no effect.

    Raises:
        DataError: The list cannot be read or is empty, or an image is missing or named twice: the first ten and the
            count.
    """
    known = {*ids, *skipped}
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for image_id in known:
        by_last_part[posixpath.basename(image_id)].append(image_id)

    def image_named(text: str) -> str | None:
        for spelling in (text, text.rsplit(None, 1)[0]):
            if spelling in known:
                return spelling
            alike = by_last_part.get(posixpath.basename(spelling), [])
            if len(alike) == 1:
                return alike[0]
        return None

    problems = Problems()
    chosen: dict[str, int] = {}
    for number, line in enumerate(read_lines(path, "calibration list"), start=1):
        text = line.strip()
        if not text:
            continue
        name = image_named(text)
        if name is None:
            problems.add(number, f"{path}:{number}", f"no image {text!r} in the data")
        elif name in chosen:
            problems.add(number, f"{path}:{number}", f"{text!r} is named again, after line {chosen[name]}")
        else:
            chosen[name] = number
    problems.raise_any(str(path), expected="one name of an image of the data a line, each once")
    chosen = {name: number for name, number in chosen.items() if name not in set(skipped)}
    if not chosen:
        raise DataError("the calibration list is empty", where=str(path), expected="the name of an image a line")
    return tuple(chosen)
