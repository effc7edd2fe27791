from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

from quantize.config import RunConfig
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import Preprocessing, choose_preprocessing
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.models.artifact import ModelArtifact
from quantize.sweep.sharing import SharedEvaluation
from tests.run.colours import SIDE


def _content(value: Any) -> Any:
    """Return a value's fields, and of arrays type, shape and bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return [(field.name, _content(getattr(value, field.name))) for field in fields(value)]
    return value


@pytest.fixture
def preprocessing(configured: Callable[..., RunConfig]) -> Preprocessing:
    return choose_preprocessing(configured().preprocessing.given(), 3).for_input_size(SIDE, SIDE)


@pytest.fixture
def batches(colour_images: tuple[Path, Path], preprocessing: Preprocessing, tmp_path: Path) -> Batches:
    images = open_images(*colour_images, classes=6)
    crops = crop_images(images, preprocessing, tmp_path / "own", workers=1)
    return Batches(crops.subset([*range(0, 96, 2), *range(1, 96, 6)]), preprocessing, 16)


@pytest.fixture
def shared(
    marked_client: Client, colour_images: tuple[Path, Path], tmp_path: Path
) -> Callable[[int], SharedEvaluation]:
    def make(images: int) -> SharedEvaluation:
        return SharedEvaluation(marked_client, "sweep", *colour_images, tmp_path / "crops", images, 30)

    return make


@pytest.mark.parametrize(
    ("images", "measuring"), [(16, ()), (48, ()), (16, ("2",))], ids=["16", "48", "16, one worker"]
)
@pytest.mark.usefixtures("measuring")
def test_a_pass_in_parts_elsewhere_is_one_pass_here_byte_for_byte(
    images: int, shared: Callable[[int], SharedEvaluation], batches: Batches, colour_model: Path, tmp_path: Path
) -> None:
    model, told = ModelArtifact.load(colour_model), []
    here = evaluate(model, batches, store=tmp_path / "here", threads=2)
    there = shared(images)(
        model, batches, store=tmp_path / "there", progress=lambda _, done, total: told.append((done, total))
    )
    assert _content(there) == _content(here)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert told[-1] == (-(-len(batches.crops) // images),) * 2  # it was in parts
    store = ScoreStore.open(tmp_path / "here")
    assert _content(shared(images)(model, batches, baseline=store)) == _content(
        evaluate(model, batches, baseline=store)
    )


def test_a_pass_loses_workers_and_no_image(
    shared: Callable[[int], SharedEvaluation], marked_client: Client, batches: Batches, colour_model: Path
) -> None:
    model, killed = ModelArtifact.load(colour_model), []

    def kill(_stage: str, _done: int, _total: int | None) -> None:
        if not killed:
            killed.append(marked_client.submit(os._exit, 1, workers=["1"], pure=False))

    there = shared(16)(model, batches, progress=kill)
    assert killed
    assert _content(there) == _content(evaluate(model, batches))


def test_a_worker_with_other_images_is_told_and_the_run_evaluates_by_itself(
    shared: Callable[[int], SharedEvaluation],
    batches: Batches,
    colour_model: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, crops = ModelArtifact.load(colour_model), batches.crops
    other: Crops = replace(crops, digests=("0" * 64, *crops.digests[1:]))
    with caplog.at_level("WARNING", "quantize"):
        there = shared(16)(model, Batches(other, batches.preprocessing, 16))
    assert _content(there) == _content(evaluate(model, batches))
    assert "the images of a worker are not those of the run" in caplog.text
    assert f"another image: {crops.ids[0]}" in caplog.text
