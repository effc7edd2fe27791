"""Demonstration data: views of 20 photographs, laid out like a user's own data."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path, PurePosixPath

from filelock import FileLock
from PIL import Image, ImageOps
from PIL import __version__ as pillow_version

from quantize.data.decoding import decode_image
from quantize.data.wheels import pip_wheel
from quantize.progress import Progress, silent
from quantize.provenance import fingerprint, sha256_file

_NAME, _VERSION = "foolbox", "3.3.4"
_SHA256 = "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb"
_MEMBER = re.compile(r"foolbox/data/(imagenet_[0-9]{2}_([0-9]+)\.jpg)")
_COUNT = 20
_INDEX = "photographs.json"


@dataclass(frozen=True)
class Photograph:
    """A photograph of ILSVRC2012 validation in a file, and its label (0 to 999)."""

    path: Path
    label: int


def photographs(cache: Path, *, progress: Progress = silent) -> tuple[Photograph, ...]:
    """Return the 20 photographs that the wheel of foolbox 3.3.4 holds, as files in ``cache``, sorted by name.

    The wheel is checked by its SHA-256 before it is opened, and never installed. Files that are in the cache already
    are checked by their own hashes.

    Args:
        cache: Folder to keep them in, made when missing (usually ``user_cache()``).
        progress: Called during the download.

    Raises:
        DataError: The wheel cannot be downloaded, or is another one.
    """
    folder = cache / f"photographs-{_SHA256[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _whole(folder):
            wheel = pip_wheel(_NAME, _VERSION, _SHA256, cache, progress=progress)
            _extract(wheel, folder)
    files = sorted(folder.glob("*.jpg"))
    return tuple(Photograph(path, int(path.stem.rsplit("_", 1)[1])) for path in files)


def _extract(wheel: Path, folder: Path) -> None:
    """Put the photographs into ``folder``, which appears whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".photographs-", dir=folder.parent) as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if _MEMBER.fullmatch(name)]
            for member in members:
                (whole / PurePosixPath(member).name).write_bytes(archive.read(member))
        hashes = {path.name: sha256_file(path) for path in sorted(whole.glob("*.jpg"))}
        if len(hashes) != _COUNT:
            raise RuntimeError(f"{wheel} holds {len(hashes)} photographs instead of {_COUNT}")
        (whole / _INDEX).write_text(json.dumps(hashes), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)


def _whole(folder: Path) -> bool:
    try:
        hashes = json.loads((folder / _INDEX).read_bytes())
        return len(hashes) == _COUNT and all(sha256_file(folder / name) == hash_ for name, hash_ in hashes.items())
    except (OSError, ValueError):
        return False


# Sides of the crops as shares of the photograph's; below about 0.7 the object itself is often cut off.
_SHARES = (1.0, 0.92, 0.85, 0.78)
_PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0))


@dataclass(frozen=True)
class View:
    """A part of a photograph, mirrored or not.

    Attributes:
        share: Side of the part as a share of the photograph's side, both ways: the aspect ratio is kept.
        across: Where it lies, 0 (left) to 1 (right).
        down: Where it lies, 0 (top) to 1 (bottom).
        mirrored: Whether left and right are swapped.
    """

    share: float
    across: float
    down: float
    mirrored: bool

    def of(self, photograph: Image.Image) -> Image.Image:
        """Return this view of a photograph, in whole pixels."""
        width, height = (round(side * self.share) for side in photograph.size)
        left = round((photograph.width - width) * self.across)
        top = round((photograph.height - height) * self.down)
        part = photograph.crop((left, top, left + width, top + height))
        return ImageOps.mirror(part) if self.mirrored else part


def views(count: int) -> tuple[View, ...]:
    """Return the first ``count`` views: the whole photograph, its mirror image, then ever smaller parts.

    Raises:
        ValueError: There are not so many (32).
    """
    whole = [(1.0, 0.5, 0.5)]
    parts = whole + [(share, across, down) for share, (across, down) in product(_SHARES[1:], _PLACES)]
    every = [View(share, across, down, mirrored) for share, across, down in parts for mirrored in (False, True)]
    if not 1 <= count <= len(every):
        raise ValueError(f"{count} views; there are 1 to {len(every)}")
    return tuple(every[:count])


# Near-lossless: the views stand for photographs, not for recompressed ones.
_JPEG_QUALITY = 95
_DONE = "done"


@dataclass(frozen=True)
class Demonstration:
    """A data set made of few photographs.

    Attributes:
        data_path: Flat folder of images, for ``--data_path``.
        label_path: Their label file, for ``--label_path``.
        calibration_list: Names of the calibration images: all views of photographs that no other image is a view of.
        photographs: Number of photographs.
        images: Number of images.
        calibration_images: Number of images in the calibration list.
    """

    data_path: Path
    label_path: Path
    calibration_list: Path
    photographs: int
    images: int
    calibration_images: int


def demonstration_data(
    cache: Path, *, views_each: int = 20, calibration_every: int = 4, progress: Progress = silent
) -> Demonstration:
    """Return the demonstration's data, written to ``cache`` once: the same arguments, the same images.

    Args:
        cache: Folder to keep photographs and views in (usually ``user_cache()``).
        views_each: Views of each photograph, 1 to 32.
        calibration_every: Every so many photographs, one whose views calibrate; those of the others evaluate.
        progress: Called during the download, and for each photograph done.

    Raises:
        DataError: The photographs cannot be downloaded.
    """
    sources = photographs(cache, progress=progress)
    hashes = [sha256_file(photograph.path) for photograph in sources]
    drawn = [astuple(view) for view in views(views_each)]
    key = fingerprint([hashes, drawn, calibration_every, _JPEG_QUALITY, pillow_version])[:16]
    folder = cache / f"demonstration-{key}"
    with FileLock(f"{folder}.lock"):
        if not (folder / _DONE).is_file():
            with tempfile.TemporaryDirectory(prefix=".demonstration-", dir=cache) as temporary:
                whole = Path(temporary) / "whole"
                _write(whole, sources, views_each, calibration_every, progress)
                shutil.rmtree(folder, ignore_errors=True)
                whole.rename(folder)
    calibrating = len(sources[::calibration_every])
    return Demonstration(
        data_path=folder / "val",
        label_path=folder / "val.txt",
        calibration_list=folder / "calibration.txt",
        photographs=len(sources),
        images=len(sources) * views_each,
        calibration_images=calibrating * views_each,
    )


def _write(
    folder: Path, sources: tuple[Photograph, ...], views_each: int, calibration_every: int, progress: Progress
) -> None:
    (folder / "val").mkdir(parents=True)
    labels: list[str] = []
    calibration: list[str] = []
    for index, photograph in enumerate(sources):
        progress("draw views", index, len(sources))
        image = decode_image(photograph.path.read_bytes())
        for number, view in enumerate(views(views_each)):
            name = f"{photograph.path.stem}_view{number:02d}.jpg"
            view.of(image).save(folder / "val" / name, quality=_JPEG_QUALITY, subsampling=0)
            labels.append(f"{name} {photograph.label}\n")
            if index % calibration_every == 0:
                calibration.append(f"{name}\n")
    progress("draw views", len(sources), len(sources))
    (folder / "val.txt").write_text("".join(labels), encoding="utf-8")
    (folder / "calibration.txt").write_text("".join(calibration), encoding="utf-8")
    (folder / _DONE).touch()
