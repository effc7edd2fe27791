"""What a command does not load: a shell asks for help while one types, and reading a file takes no statistics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.cli.main import COMMANDS

_SCRIPT = """
import atexit, json, sys
from pathlib import Path
place, names = Path(sys.argv.pop(1)), sys.argv.pop(1).split(",")
atexit.register(lambda: place.write_text(json.dumps([name for name in names if name in sys.modules])))
from quantize.cli.start import run
run()
"""
_LIBRARIES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "scipy",
    "PIL",
    "matplotlib",
    "pydantic",
    "rich",
    "typer",
    "yaml",
    "psutil",
)
_HELP = [["--help"], [], *([name, "--help"] for name in COMMANDS)]


def _loaded(words: list[str], names: tuple[str, ...], place: Path) -> list[str]:
    """Return which modules a command has loaded at its end."""
    command = [sys.executable, "-c", _SCRIPT, str(place), ",".join(names), *words]
    subprocess.run(command, check=True, capture_output=True)
    return list(json.loads(place.read_text(encoding="utf-8")))


@pytest.mark.parametrize("words", _HELP, ids=" ".join)
def test_help_loads_no_library(words: list[str], tmp_path: Path) -> None:
    assert _loaded(words, _LIBRARIES, tmp_path / "loaded") == []


def test_the_catalog_is_listed_without_onnx_or_statistics(tmp_path: Path) -> None:
    heavy = ("onnx", "onnxruntime", "scipy", "matplotlib", "jinja2", "quantize.config.schema", "quantize.report.schema")
    assert _loaded(["zoo"], heavy, tmp_path / "loaded") == []


def test_inspect_leaves_the_reading_to_a_child(colour_model: Path, tmp_path: Path) -> None:
    heavy = ("numpy", "onnx", "onnxruntime", "scipy", "matplotlib", "quantize.config.schema", "quantize.report.schema")
    assert _loaded(["inspect", str(colour_model)], heavy, tmp_path / "loaded") == []


def test_the_child_that_inspects_a_file_loads_no_statistics(colour_model: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from quantize.commands.inspection_text import _text;"
        "from quantize.opening.bounds import Bounds; from quantize.processes.watch import Watch;"
        f"print(_text(({str(colour_model)!r}, Bounds()), Watch(lambda told: None)));"
        "assert not {'scipy', 'matplotlib', 'jinja2', 'typer', 'pyarrow'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "multiply-adds" in done.stdout
