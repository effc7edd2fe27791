from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from quantize.data.containers.registry import open_images
from quantize.data.preprocessing import PRESETS
from quantize.errors import DataError
from quantize.evaluation.preset_probe import PresetFit, probe_presets, refuse_chance
from quantize.models.artifact import ModelArtifact
from tests.evaluation.conftest import Making
from tests.run.colours import colours_of_caffe

GOOD, BAD = PresetFit("caffe", 0.67, 300, believable=True), PresetFit("imagenet", 0.002, 300, believable=False)


def test_every_preset_is_tried_and_the_best_comes_first(colour_images: tuple[Path, Path], tmp_path: Path) -> None:
    onnx.save(colours_of_caffe(), tmp_path / "net.onnx")
    listed = open_images(*colour_images, classes=6)
    model = ModelArtifact.load(tmp_path / "net.onnx")
    best, *others = probe_presets(model, listed, tmp_path / "crops", threads=1, workers=1)
    assert (best.preset, best.images, best.believable) == ("caffe", 96, True)
    assert {other.preset for other in others} == set(PRESETS) - {"caffe"}
    for other in others:
        assert (other.images, other.believable) == (96, False)
        assert best.accuracy > 0.95 > other.accuracy


def refusal(made: Making, asked_for: str | None, *fits: PresetFit) -> str:
    with pytest.raises(DataError) as caught:
        refuse_chance(made([0] + [1] * 399), asked_for=asked_for, fits=fits)
    return str(caught.value)


def test_the_preset_that_fits_is_named_with_what_it_gives(made: Making) -> None:
    text = refusal(made, "imagenet", GOOD, BAD)
    assert "top-1 0.2 % on 400 images with the preset 'imagenet'" in text
    assert "use --preset caffe" in text
    assert "with 'caffe': 67.0 % on 300 images" in text
    assert "1 of 1000 classes" in text


@pytest.mark.parametrize(
    ("asked_for", "fits"),
    [("imagenet", (BAD,)), ("caffe", (GOOD, BAD)), (None, ())],
    ids=["none fits", "the best is what was used", "none could be tried"],
)
def test_else_the_labels_are_to_be_checked(made: Making, asked_for: str | None, fits: tuple[PresetFit, ...]) -> None:
    text = refusal(made, asked_for, *fits)
    assert "use --preset" not in text
    assert "check that the labels belong to this model" in text
