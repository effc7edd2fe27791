"""Models and images from memory, as the files that the commands take.

They are kept in the cache under the hash of what they hold, so that a run can be resumed, repeated and verified later.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from quantize.cache_folder import user_cache
from quantize.errors import DataError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quantize.data.batches import CalibrationDataLoader
    from quantize.public.kinds import Labels, ModelLike, Pictures


def model_file(given: ModelLike) -> Path:
    """Return the file of a model.

    Args:
        given: A path, or the model itself: as bytes of a file, or parsed.

    Raises:
        ModelError: It is too large to be written as one file.
    """
    if isinstance(given, str | os.PathLike):
        return Path(given)
    if isinstance(given, bytes):
        content = given
    else:
        try:
            content = given.SerializeToString(deterministic=True)
        except ValueError as error:  # more than the 2 GiB of a protobuf message
            raise ModelError(
                "the model is too large to be given from memory",
                found=str(error),
                advice="save it with onnx.save_model(..., save_as_external_data=True) and give its path",
            ) from error
    place = _place(hashlib.sha256(content))
    with _made(place) as folder:
        if folder is not None:
            (folder / "model.onnx").write_bytes(content)
    return place / "model.onnx"


def picture_folder(pictures: Pictures, labels: Labels | None = None) -> tuple[Path, Path | None]:
    """Return a folder with pictures as PNG files, and its label file where there are labels.

    Args:
        pictures: uint8 (N, H, W, 3), or (N, H, W) for grey; or a sequence of pictures of any sizes. Decoded pixels, as
            they come out of a file: size and normalization are the preprocessing's work.
        labels: A class for each picture, or for each a sequence of labels.

    Raises:
        DataError: They are no such pictures, or there is not a label for each.
    """
    known = [_picture(one, f"picture {number}") for number, one in enumerate(pictures)]
    if not known:
        raise DataError("no pictures were given", expected="uint8 (N, H, W, 3), or a sequence of (H, W, 3)")
    if labels is not None and len(labels) != len(known):
        raise DataError(
            "not a label for each picture", found=f"{len(labels)} labels", expected=f"{len(known)}, in their order"
        )
    lines = [] if labels is None else [" ".join(map(str, np.atleast_1d(np.asarray(label)))) for label in labels]
    content = hashlib.sha256("\n".join(lines).encode())
    for one in known:
        content.update(repr(one.shape).encode() + one.tobytes())
    place, names = _place(content), [f"{number:06}.png" for number in range(len(known))]
    with _made(place) as folder:
        if folder is not None:
            (folder / "images").mkdir()
            for name, one in zip(names, known, strict=True):
                Image.fromarray(one).save(folder / "images" / name, compress_level=1)
            text = "".join(f"{name} {line}\n" for name, line in zip(names, lines, strict=False))
            (folder / "labels.txt").write_text(text, encoding="utf-8")
    return place / "images", None if labels is None else place / "labels.txt"


def calibration_list(loader: CalibrationDataLoader) -> Path:
    """Return a file with the names of a loader's images."""
    content = "".join(f"{name}\n" for name in loader.ids).encode()
    place = _place(hashlib.sha256(content))
    with _made(place) as folder:
        if folder is not None:
            (folder / "calibration.txt").write_bytes(content)
    return place / "calibration.txt"


def _picture(given: Any, where: str) -> NDArray[np.uint8]:
    array = np.asarray(given)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))):
        advice = "give pixels from 0 to 255 as they are decoded, channels last: the preprocessing normalizes them"
        found, expected = f"{array.dtype} {array.shape}", "uint8 (H, W, 3), or (H, W) for grey"
        raise DataError("not a picture", where=where, found=found, expected=expected, advice=advice)
    return np.ascontiguousarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _place(content: Any) -> Path:
    return user_cache() / "given" / str(content.hexdigest())[:32]


@contextmanager
def _made(place: Path) -> Iterator[Path | None]:
    """Give an empty folder that takes its place once it is filled; None where the place is there already."""
    if place.is_dir():
        yield None
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        yield folder
        try:
            folder.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was quicker
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
