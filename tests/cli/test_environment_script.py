"""The script that makes .venv: what it refuses, and what it leaves behind when it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    place = tmp_path / "a checkout"
    (place / "scripts").mkdir(parents=True)
    shutil.copy(_ROOT / "scripts" / "environment.sh", place / "scripts")
    shutil.copy(_ROOT / "pyproject.toml", place)
    return place


def _make(checkout: Path, python: Path, extras: str = "inc") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "scripts/environment.sh", extras],
        cwd=checkout,
        env=os.environ | {"QUANTIZE_PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def _python(place: Path, version: str, rest: str = "exit 1") -> Path:
    place.parent.mkdir(exist_ok=True)
    place.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then echo {version}; exit 0; fi\n{rest}\n')
    place.chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("version", "extras", "expected"),
    [("3.13", "inc", "3.10, 3.11 or 3.12"), ("3.9", "", "3.10 or newer"), ("2.7", "", "3.10 or newer")],
)
def test_a_python_that_is_too_old_or_too_new_is_named_with_those_that_work(
    checkout: Path, tmp_path: Path, version: str, extras: str, expected: str
) -> None:
    python = _python(tmp_path / "with space" / "python", version)
    done = _make(checkout, python, extras)
    assert done.returncode == 2
    assert f"{python} ({version})" in done.stderr
    assert f"expected: Python {expected}" in done.stderr
    assert not (checkout / ".venv").exists()


def test_what_is_no_python_is_named(checkout: Path, tmp_path: Path) -> None:
    done = _make(checkout, tmp_path / "absent")
    assert done.returncode == 2
    assert f"QUANTIZE_PYTHON={tmp_path / 'absent'}" in done.stderr


def test_a_failed_install_says_why_and_leaves_nothing_that_is_trusted(checkout: Path, tmp_path: Path) -> None:
    fails = r"#!/bin/sh\necho no wheels here; exit 1"
    half = f'mkdir -p "$3/bin" && printf "{fails}" >"$3/bin/python" && chmod +x "$3/bin/python"'
    done = _make(checkout, _python(tmp_path / "bin" / "python", "3.11", half))
    assert done.returncode == 2
    assert "| no wheels here" in done.stderr
    assert "nothing was left behind" in done.stderr
    assert not (checkout / ".venv").exists()
