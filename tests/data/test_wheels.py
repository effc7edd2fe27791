from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from quantize.data.wheels import pip_wheel, wheel_place
from quantize.errors import DataError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def wheel(folder: Path, text: str = "pictures") -> str:
    path = folder / "photos-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photos/data.txt", text)
        archive.writestr("photos-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: photos\nVersion: 1.0\n")
        archive.writestr("photos-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("photos-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wheel_is_downloaded_once_and_then_comes_from_the_cache(index: Path, tmp_path: Path) -> None:
    sha256 = wheel(index)
    cache = tmp_path / "cache"
    first = pip_wheel("photos", "1.0", sha256, cache)
    (index / "photos-1.0-py3-none-any.whl").unlink()
    assert pip_wheel("photos", "1.0", sha256, cache) == first == wheel_place("photos", "1.0", cache)
    assert zipfile.ZipFile(first).read("photos/data.txt") == b"pictures"


def test_a_spoilt_cached_wheel_is_downloaded_again(index: Path, tmp_path: Path) -> None:
    sha256 = wheel(index)
    path = pip_wheel("photos", "1.0", sha256, tmp_path)
    path.write_bytes(b"half")
    assert hashlib.sha256(pip_wheel("photos", "1.0", sha256, tmp_path).read_bytes()).hexdigest() == sha256


def test_another_file_under_the_same_name_is_refused(index: Path, tmp_path: Path) -> None:
    wheel(index)
    with pytest.raises(DataError, match="another file") as caught:
        pip_wheel("photos", "1.0", "0" * 64, tmp_path)
    assert caught.value.expected == "sha256 " + "0" * 64
    assert not wheel_place("photos", "1.0", tmp_path).exists()


def test_a_missing_network_says_what_to_do(index: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        pip_wheel("photos", "1.0", "0" * 64, tmp_path)
    assert caught.value.advice is not None
    assert "PIP_INDEX_URL" in caught.value.advice
    assert str(wheel_place("photos", "1.0", tmp_path)) in caught.value.advice
    assert "photos==1.0" in str(caught.value.found)
