from __future__ import annotations

from pathlib import Path

import pytest

import quantize
from quantize.commands.package import package
from tests.three_colours import write_colours


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on a model that classifies colours."""
    place = tmp_path_factory.mktemp("colours")
    write_colours(place, "colours.onnx")
    return quantize.tune(
        place / "colours.onnx",
        data_path=place / "images",
        label_path=place / "labels.txt",
        output_model=place / "run",
        preset="imagenet",
        sampling_size=10,
        iteration=5,
        min_speedup=0,
        workers=1,
    ).run


@pytest.fixture(scope="module")
def packages(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return the packages of both models of the run; do not change them."""
    return package(run, tmp_path_factory.mktemp("packages"))
