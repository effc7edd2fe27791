from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from quantize.config.run_config import PreprocessingBlock
from quantize.data.containers.registry import open_images
from quantize.data.image_parts import Images, load_images
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.errors import ConfigError, EngineError
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import load_catalog
from quantize.run.preflight import preprocessing_for
from quantize.run.request import TuneRequest
from quantize.run.tune import tune
from tests.run.conftest import Configured

_SIZES = ("resize", "crop")
CAFFE = PRESETS["caffe"].for_input_size(32, 32)


def block(**values: object) -> PreprocessingBlock:
    return PreprocessingBlock.model_validate(values)


@pytest.fixture(scope="session")
def artifact(colour_model: Path) -> ModelArtifact:
    return ModelArtifact.load(colour_model)


def test_the_models_input_decides_the_size(artifact: ModelArtifact) -> None:
    preprocessing = preprocessing_for(artifact, block(preset="imagenet"), None)
    assert (preprocessing.preset, preprocessing.crop, preprocessing.resize) == ("imagenet", 32, 37)


def test_known_weights_bring_their_preset_and_what_is_asked_wins(artifact: ModelArtifact) -> None:
    entry = load_catalog().named("squeezenet1.0-12")
    assert preprocessing_for(artifact, block(), entry).preset == "caffe"
    assert preprocessing_for(artifact, block(preset="imagenet"), entry).preset == "imagenet"
    changed = preprocessing_for(artifact, block(channel_order="RGB"), entry)
    assert (changed.channel_order, changed.mean) == ("RGB", CAFFE.mean)


@pytest.mark.parametrize("name", [entry.name for entry in load_catalog() if entry.preprocessing])
def test_every_known_model_brings_its_preprocessing_whether_that_has_a_name_or_not(
    artifact: ModelArtifact, name: str
) -> None:
    entry = load_catalog().named(name)
    unsized = entry.model_copy(
        update={"preprocessing": {key: part for key, part in entry.preprocessing.items() if key not in _SIZES}}
    )
    expected = unsized.chosen_preprocessing()
    assert expected is not None
    assert preprocessing_for(artifact, block(), unsized) == expected.for_input_size(32, 32)


def test_known_weights_bring_the_parts_that_differ_from_their_preset_unless_another_one_is_named(
    artifact: ModelArtifact,
) -> None:
    known = load_catalog().named("efficientnet_lite2")
    entry = known.model_copy(update={"preprocessing": {**known.preprocessing, "resize": 36, "crop": 32}})
    preprocessing = preprocessing_for(artifact, block(), entry)
    assert (preprocessing.preset, preprocessing.resize, preprocessing.crop, preprocessing.interpolation) == (
        "efficientnet_lite",
        36,
        32,
        "bicubic",
    )
    assert preprocessing_for(artifact, block(resize=40), entry).resize == 40
    other = preprocessing_for(artifact, block(preset="imagenet"), entry)
    assert other == PRESETS["imagenet"].for_input_size(32, 32)


def test_unknown_weights_without_a_preprocessing_are_refused_with_the_presets(artifact: ModelArtifact) -> None:
    with pytest.raises(ConfigError) as caught:
        preprocessing_for(artifact, block(), None)
    assert "caffe, imagenet" in str(caught.value)
    assert "--preset" in str(caught.value)


def test_a_size_that_the_model_cannot_take_is_refused(artifact: ModelArtifact) -> None:
    with pytest.raises(ConfigError):
        preprocessing_for(artifact, block(preset="caffe", resize=24), None)


def loaded(colour_images: tuple[Path, Path], cache: Path, **changes: Any) -> Images:
    values: dict[str, Any] = {
        "calibration_size": 24,
        "in_evaluation": False,
        "certification": None,
        "seed": 1978,
        "calibration_list": None,
        "skip_unreadable": False,
        "workers": 1,
    }
    return load_images(open_images(*colour_images, classes=6), CAFFE, cache, **(values | changes))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crops")


def test_calibration_and_evaluation_share_no_image(colour_images: tuple[Path, Path], cache: Path) -> None:
    images = loaded(colour_images, cache)
    assert (len(images.calibration), len(images.evaluation), images.certification) == (24, 72, None)
    assert set(images.calibration.ids) | set(images.evaluation.ids) == set(images.crops.ids)
    assert not set(images.calibration.ids) & set(images.evaluation.ids)


def test_on_request_the_calibration_images_are_evaluated_too(colour_images: tuple[Path, Path], cache: Path) -> None:
    images = loaded(colour_images, cache, in_evaluation=True)
    assert len(images.evaluation) == 96
    assert set(images.calibration.ids) <= set(images.evaluation.ids)


def test_certification_images_are_in_no_other_part(colour_images: tuple[Path, Path], cache: Path) -> None:
    images = loaded(colour_images, cache, certification=0.25)
    assert images.certification is not None
    assert (len(images.evaluation), len(images.certification)) == (54, 18)
    assert not set(images.certification.ids) & {*images.calibration.ids, *images.evaluation.ids}


@pytest.mark.parametrize(
    ("enough", "changes", "kept"),
    [
        (72, {}, 21),
        (73, {}, 0),
        (96, {"in_evaluation": True}, 28),
        (94, {"calibration_list": "list.txt"}, 28),
        (95, {"calibration_list": "list.txt"}, 0),
    ],
)
def test_three_tenths_are_kept_if_there_are_enough_images(
    colour_images: tuple[Path, Path],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    enough: int,
    changes: dict[str, object],
    kept: int,
) -> None:
    (tmp_path / "list.txt").write_text("image003.png\nimage001.png\n")
    monkeypatch.chdir(tmp_path)
    given = {name: Path(str(value)) if name == "calibration_list" else value for name, value in changes.items()}
    images = loaded(colour_images, cache, certification_from=enough, **given)
    assert len(images.split.certification) == kept


def test_a_list_names_the_calibration_images(colour_images: tuple[Path, Path], cache: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("image003.png\nimage001.png\n")
    images = loaded(colour_images, cache, calibration_list=tmp_path / "list.txt")
    assert set(images.calibration.ids) == {"image003.png", "image001.png"}
    assert len(images.evaluation) == 94


def test_the_preprocessing_is_kept_with_the_images(colour_images: tuple[Path, Path], cache: Path) -> None:
    images = loaded(colour_images, cache)
    assert isinstance(images.preprocessing, Preprocessing)
    assert images.crops.array.shape == (96, 32, 32, 3)


def test_without_neural_compressor_nothing_is_begun_and_the_extra_is_named(
    colour_model: Path, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "neural_compressor" else find_spec(name)
    )
    config = configured({"tuning.engine": "inc"})
    with pytest.raises(EngineError, match=r"quantize\[inc\]"):
        tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
