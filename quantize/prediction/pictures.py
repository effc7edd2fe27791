"""Images one after another, from files, folders and standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.data.containers.folder import images_only, list_files
from quantize.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Picture:
    """An image file that has not been read yet.

    Attributes:
        name: What results call it: its path, or ``-``.
        read: Returns its encoded bytes; raises OSError where it cannot.
    """

    name: str
    read: Callable[[], bytes]


def pictures(places: Sequence[str], standard_input: Callable[[], bytes]) -> tuple[Picture, ...]:
    """Return the images in the order named; a folder stands for the image files in it and below, sorted.

    Args:
        places: Paths of files and folders; ``-`` is one image from standard input.
        standard_input: Reads it.

    Raises:
        DataError: A path does not exist, a folder holds no images, or standard input is named twice.
    """
    if not places:
        raise DataError("no images are named", expected="files, folders, or - for standard input")
    if places.count(STANDARD_INPUT) > 1:
        raise DataError("standard input is named twice", expected="- once: it holds one image")
    return tuple(picture for place in places for picture in _at(place, standard_input))


def _at(place: str, standard_input: Callable[[], bytes]) -> Iterator[Picture]:
    if place == STANDARD_INPUT:
        yield Picture(place, standard_input)
        return
    path = Path(place).expanduser()
    if not path.exists():
        raise DataError("no such image", where=place, expected="an image file or a folder of images")
    if not path.is_dir():
        yield Picture(place, path.read_bytes)
        return
    names, _ = images_only(list_files(path, below=True))
    if not names:
        raise DataError("no images here", where=place, expected="JPEG, PNG or other image files")
    for name in sorted(names):
        yield Picture(str(path / name), (path / name).read_bytes)
