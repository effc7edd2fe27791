"""Files that a package client downloads: kept in the cache, their bytes proven each time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from quantize.files import replaced, scratch_folder
from quantize.progress import Progress
from quantize.provenance import sha256_file


def kept_download(place: Path, sha256: str, title: str, download: Callable[[Path], Path], progress: Progress) -> Path:
    """Return a file that is downloaded where the cache does not have it.

    Several processes may ask for the same file at once: one downloads, the others wait.

    Args:
        place: Where it is kept; its folder is made when missing.
        sha256: SHA-256 of its bytes in hexadecimal; a kept file of other bytes is downloaded again.
        title: What is downloaded, for the progress.
        download: Given an empty folder: returns the downloaded file in it, its bytes proven.
        progress: Called before and after the download, without a total.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if place.is_file() and sha256_file(place) == sha256:
            return place
        progress(f"download {title}", 0, None)
        with scratch_folder("download") as folder:
            downloaded = download(folder)
            with replaced(place) as temporary:
                shutil.copyfile(downloaded, temporary)
        progress(f"download {title}", 1, 1)
    return place
