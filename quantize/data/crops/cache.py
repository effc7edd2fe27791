"""The crop cache on disk: a ``.npy`` file of uint8 crops and an index that validates each row."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from PIL import __version__ as pillow_version
from PIL import features

from quantize.bounded_reading import open_regular, read_json
from quantize.errors import DataError
from quantize.files import write_text
from quantize.progress import Progress
from quantize.provenance import sha256_bytes

_FORMAT = 1


def decoder_version() -> str:
    """Return what besides the image and the preprocessing decides a crop's bytes: the decoder's versions."""
    return f"{_FORMAT}: Pillow {pillow_version}, JPEG {features.version('jpg')}"


@dataclass(frozen=True)
class CachedRow:
    """What a row of the file holds.

    Attributes:
        state: The encoded image's size and times when it was decoded.
        sha256: Hash of the crop's bytes; None for a row that was never written, its image being unreadable.
    """

    state: tuple[int, ...]
    sha256: str | None


@dataclass(frozen=True)
class CropIndex:
    """Written after the crops' file is complete; without it the file is not trusted."""

    decoder: str
    rows: tuple[CachedRow, ...]

    def write(self, path: Path) -> None:
        """Write the index in one step."""
        write_text(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> CropIndex | None:
        """Return the index in a file, or None if it is missing or damaged."""
        try:
            values = read_json(path, regular=True)
            rows = tuple(CachedRow(tuple(row["state"]), row["sha256"]) for row in values["rows"])
            return cls(values["decoder"], rows)
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextmanager
def locked(folder: Path, key: str, progress: Progress) -> Iterator[Path]:
    """Yield the place of the file of crops with this key, once no other run is filling it."""
    lock = FileLock(folder / f"crops-{key}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("wait for another run that decodes the same images", 0, None)
        lock.acquire()
    try:
        yield folder / f"crops-{key}.npy"
    finally:
        lock.release()


def remove_crops(folder: Path) -> int:
    """Remove all crops in a cache folder that no run is filling, and return the bytes that they took."""
    freed = 0
    for lock_path in folder.glob("crops-*.lock"):
        with contextlib.suppress(Timeout), FileLock(lock_path, timeout=0):
            # The lock file stays: another run may be waiting for it.
            files = [folder / f"{lock_path.stem}{suffix}" for suffix in (".npy", ".json")]
            for path in filter(Path.is_file, (*files, *folder.glob(f".{lock_path.stem}.*.part"))):
                freed += path.stat().st_blocks * 512
                path.unlink()
    return freed


def header(shape: Sequence[int]) -> bytes:
    """Return the ``.npy`` header of a uint8 array in C order."""
    stream = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(stream, description)  # type: ignore[no-untyped-call]
    return stream.getvalue()


def proven_rows(path: Path, shape: Sequence[int], index: CropIndex) -> Iterator[tuple[int, bytes]]:
    """Yield (row, bytes) of each row whose bytes are what the index says; nothing for a file of another shape."""
    size = int(np.prod(shape[1:]))
    expected = header(shape)
    try:
        stream: BinaryIO = open_regular(path)
    except OSError:
        return
    with stream:
        if stream.read(len(expected)) != expected:
            return
        for row, cached in enumerate(index.rows):
            content = stream.read(size)
            if len(content) == size and sha256_bytes(content) == cached.sha256:
                yield row, content


def allocate(path: Path, shape: Sequence[int]) -> int:
    """Make ``path`` a ``.npy`` file of zeros, without filling the disk yet, and return the bytes before the first row.

    Raises:
        DataError: The disk has not the space.
    """
    start = header(shape)
    size = len(start) + int(np.prod(shape))
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise DataError(
            "not enough disk space for the cache of crops",
            where=str(path.parent),
            found=f"{free / 1e9:.2f} GB free",
            expected=f"{size / 1e9:.2f} GB for {shape[0]:,} images",
            advice="free some space, or name another cache folder (XDG_CACHE_HOME)",
        )
    with path.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)
    return len(start)
