from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantize.data.npm_packages import npm_package, package_place
from quantize.errors import DataError
from quantize.provenance import sha256_bytes

CONTENT = b"a package"


def stand_in(folder: Path, script: str) -> None:
    """Put an npm into a folder that does what a shell script says."""
    folder.mkdir(exist_ok=True)
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    npm.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")
    return folder


def test_a_package_is_downloaded_once_and_proven_by_its_hash(tools: Path, tmp_path: Path) -> None:
    stand_in(tools, 'printf "a package" > "$6/some-1.0.tgz"; echo "$2" >> "$0.asked"')
    places = [npm_package("some", "1.0", sha256_bytes(CONTENT), tmp_path / "cache") for _ in range(2)]

    assert places == [package_place("some", "1.0", tmp_path / "cache")] * 2
    assert places[0].read_bytes() == CONTENT
    assert (tools / "npm.asked").read_text(encoding="utf-8").split() == ["some@1.0"]


def test_another_package_than_the_published_one_is_refused(tools: Path, tmp_path: Path) -> None:
    stand_in(tools, 'printf "another" > "$6/some-1.0.tgz"')
    with pytest.raises(DataError, match="another file") as error:
        npm_package("some", "1.0", sha256_bytes(CONTENT), tmp_path / "cache")

    assert sha256_bytes(b"another") in str(error.value)
    assert not package_place("some", "1.0", tmp_path / "cache").exists()


def test_what_npm_says_is_told_with_the_place_to_put_the_package(tools: Path, tmp_path: Path) -> None:
    stand_in(tools, "echo 'npm error no such host' >&2; exit 1")
    with pytest.raises(DataError, match="could not be downloaded") as error:
        npm_package("some", "1.0", sha256_bytes(CONTENT), tmp_path / "cache")

    assert "no such host" in str(error.value)
    assert str(package_place("some", "1.0", tmp_path / "cache")) in str(error.value)


def test_without_npm_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="could not be downloaded") as error:
        npm_package("some", "1.0", sha256_bytes(CONTENT), tmp_path / "cache")

    assert error.value.found == "npm is not installed"
