"""Twenty labelled ImageNet photographs that the package index holds: enough to show the machinery."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from quantize.data.wheels import pip_wheel
from quantize.progress import Progress, silent
from quantize.provenance import sha256_file

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
        progress: Told of the download.

    Raises:
        DataError: The wheel cannot be downloaded, or is another one.
    """
    folder = cache / f"photographs-{_SHA256[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _whole(folder):
            wheel = pip_wheel(_NAME, _VERSION, _SHA256, cache, progress=progress)
            _extract(wheel, folder)
    found = sorted(folder.glob("*.jpg"))
    return tuple(Photograph(path, int(path.stem.rsplit("_", 1)[1])) for path in found)


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
