"""ILSVRC2012's devkit: the ground truth in its own class order, mapped to labels through ``meta.mat``."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from quantize.bounded_reading import read_bounded
from quantize.data.labels.classes import labels_by_wordnet_id
from quantize.data.labels.label_file import LabelLine
from quantize.data.problems import Problems
from quantize.data.tar_header import SoundHeader, why_unreadable
from quantize.errors import DataError
from quantize.processes.calls import call_in_child
from quantize.processes.child import ChildError

_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_LARGEST = 1 << 26  # bytes of the devkit, unpacked: it has 4 million
_LARGEST_CHILD = 1 << 30
_SECONDS = 120.0
_NUMBERED = re.compile(r"ILSVRC2012_val_([0-9]{8})[._].*")
_LONE_INTEGER = re.compile(rb"\s*[0-9]{1,4}\s*")


@dataclass(frozen=True)
class Devkit:
    """The two files of the devkit that give validation images their labels.

    Attributes:
        place: The ground truth file, for messages.
        lines: Its lines: ILSVRC2012 ids, 1 to 1000; line k is image number k.
        labels: The label, 0 to 999, of each ILSVRC2012 id of an ImageNet class.
    """

    place: Path
    lines: tuple[str, ...]
    labels: Mapping[int, int]

    def label_lines(self, names: Sequence[str], problems: Problems) -> list[LabelLine]:
        """Return a label for each image.

        Args:
            names: The images. With the names of ILSVRC2012 validation, their numbers count, and images may be missing;
                with other names, they are taken in sorted order, and there must be as many as lines.
            problems: Takes lines that hold no id of a class.

        Raises:
            DataError: Another number of images than of lines.
        """
        numbered = [_NUMBERED.fullmatch(posixpath.basename(name)) for name in names]
        if all(numbered):
            order = {name: int(match[1]) for name, match in zip(names, numbered, strict=True) if match}
        else:
            order = {name: number for number, name in enumerate(sorted(names, key=posixpath.basename), start=1)}
        if max(order.values(), default=0) > len(self.lines) or (not all(numbered) and len(names) != len(self.lines)):
            raise DataError(
                "the devkit's ground truth does not match these images",
                where=str(self.place),
                found=f"{len(self.lines):,} lines for {len(names):,} images",
                expected="line k for the image ILSVRC2012_val_<k>.JPEG, or for the k-th image of all, sorted by name",
            )
        found_lines = []
        for name, number in order.items():
            text = self.lines[number - 1].strip()
            label = self.labels.get(int(text)) if text.isascii() and text.isdigit() else None
            if label is None:
                problems.add(
                    number, f"{self.place}:{number}", f"{text!r} is no ILSVRC2012 id of one of the 1,000 classes"
                )
            else:
                found_lines.append(LabelLine(name, label, number))
        return found_lines


def find_devkit(label_path: Path) -> Devkit | None:
    """Return the devkit that a label path names, or None if it names a label file.

    It names a devkit by its folder (``ILSVRC2012_devkit_t12`` or its ``data``), its archive (``.tar.gz``, read as it
    is), or its ground truth file, with ``meta.mat`` next to it.

    Raises:
        DataError: A part of the devkit is missing or damaged.
    """
    if label_path.is_dir():
        folder = next((place for place in (label_path, label_path / "data") if (place / _GROUND_TRUTH).is_file()), None)
        if folder is None:
            raise DataError(
                "this folder is no devkit",
                where=str(label_path),
                expected=f"a label file, or a folder with {_GROUND_TRUTH} and {_META}",
            )
        return _from_files(folder / _GROUND_TRUTH)
    if re.search(r"\.(tar|tar\.gz|tgz)$", label_path.name):
        return _from_archive(label_path)
    if label_path.is_file() and _holds_lone_integers(label_path):
        return _from_files(label_path)
    return None


def _from_files(ground_truth: Path) -> Devkit:
    meta = ground_truth.with_name(_META)
    if not meta.is_file():
        raise DataError(
            "the labels are in the devkit's order, and its meta.mat is missing",
            where=str(ground_truth),
            found="lines that are a number each",
            expected=f"{meta}, or lines `name label`",
            advice=f"put {_META} of ILSVRC2012_devkit_t12/data there, or name the devkit's folder as the labels",
        )
    try:
        lines, table = read_bounded(ground_truth, _LARGEST), read_bounded(meta, _LARGEST)
    except OSError as error:
        raise DataError(f"the devkit cannot be read: {error.strerror}", where=str(ground_truth.parent)) from error
    return Devkit(ground_truth, _lines(lines), _labels(table, meta))


def _from_archive(path: Path) -> Devkit:
    parts: dict[str, bytes] = {}
    try:
        with tarfile.open(path, tarinfo=SoundHeader) as archive:
            for member in archive:
                name = posixpath.basename(member.name)
                if archive.offset > _LARGEST:
                    raise tarfile.ReadError(f"more than {_LARGEST:,} bytes in it")
                stream = archive.extractfile(member) if name in (_GROUND_TRUTH, _META) and member.isreg() else None
                if stream is not None:
                    parts[name] = stream.read()
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            f"the devkit cannot be read: {why_unreadable(error)}", where=str(path), expected="a tar archive"
        ) from error
    if len(parts) < 2:
        raise DataError("this archive is no devkit", where=str(path), expected=f"{_GROUND_TRUTH} and {_META} in it")
    place = path / _GROUND_TRUTH
    return Devkit(place, _lines(parts[_GROUND_TRUTH]), _labels(parts[_META], path / _META))


def _lines(ground_truth: bytes) -> tuple[str, ...]:
    return tuple(line for line in ground_truth.decode("ascii", errors="replace").splitlines() if line.strip())


def _labels(meta: bytes, place: Path) -> Mapping[int, int]:
    """Return the label of each ILSVRC2012 id in ``meta.mat``; ids of inner nodes of the hierarchy have none."""
    try:
        rows = call_in_child(_synsets, meta, seconds=_SECONDS, memory_bytes=_LARGEST_CHILD)
        ids = {int(number): str(wordnet_id) for number, wordnet_id in rows}
    except ChildError as error:
        raise DataError(
            f"the devkit's {_META} cannot be read",
            where=str(place),
            found=error.how,
            expected="a table `synsets` with ILSVRC2012_ID and WNID",
        ) from error
    by_wordnet_id = labels_by_wordnet_id()
    return {number: by_wordnet_id[wordnet_id] for number, wordnet_id in ids.items() if wordnet_id in by_wordnet_id}


def _synsets(meta: bytes) -> list[tuple[int, str]]:
    """Return (ILSVRC2012_ID, WNID) of each synset; in a child, since scipy's reader crashes on some damaged files."""
    synsets = np.atleast_1d(scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
    return [(int(synset["ILSVRC2012_ID"]), str(synset["WNID"])) for synset in synsets]


def _holds_lone_integers(path: Path) -> bool:
    """Return whether the first lines that are not blank hold a number and nothing else."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    lines = [line for line in start.splitlines()[:10] if line.strip()]
    return bool(lines) and all(_LONE_INTEGER.fullmatch(line) for line in lines)
