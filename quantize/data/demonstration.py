"""The data of the demonstration: views of 20 photographs, laid out as a user's own data would be."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

from filelock import FileLock
from PIL import __version__ as pillow_version

from quantize.data.decoding.decode import decode_image
from quantize.data.photographs import Photograph, photographs
from quantize.data.views import views
from quantize.progress import Progress, silent
from quantize.provenance import fingerprint, sha256_file

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
        progress: Told of the download and of the photographs done.

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
