"""What models are timed on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.preprocessing import choose_preprocessing
from quantize.models.artifact import ModelArtifact
from quantize.run.measuring import inputs_of, prepared_inputs


def test_models_that_take_the_same_share_their_images(
    colour_images: tuple[Path, Path], colour_model: Path, tmp_path: Path
) -> None:
    model = ModelArtifact.load(colour_model)
    preprocessing = choose_preprocessing({"preset": "imagenet"}).for_input_size(*model.contract.image_size)
    crops = crop_images(open_images(*colour_images, classes=model.contract.classes), preprocessing, tmp_path)
    alone = prepared_inputs(crops, preprocessing, model)
    last = replace(model, contract=replace(model.contract, input_layout="NHWC"))
    inputs = inputs_of(crops, preprocessing, {"fp32": model, "int8": model, "last": last})
    assert inputs["int8"] is inputs["fp32"]
    (count, channels, height, width) = (len(inputs["fp32"]), *inputs["fp32"][0].shape[1:])
    assert count == min(64, len(crops))
    assert inputs["last"][0].shape == (1, height, width, channels)
    assert all((one == other).all() for one, other in zip(inputs["fp32"], alone, strict=True))
