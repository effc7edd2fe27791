from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from quantize.commands.predict import predict
from quantize.config.run_config import PreprocessingBlock
from quantize.data.preprocessing import PRESETS
from quantize.errors import ConfigError, DataError, ModelError
from quantize.models.artifact import ModelArtifact, ModelContract, TensorContract
from quantize.prediction.answers import PredictReport, predict_text
from quantize.prediction.class_names import class_names
from quantize.prediction.predict import probabilities
from quantize.prediction.preprocessing import PREPROCESSING

Writer = Callable[..., Path]
IMAGENET = PreprocessingBlock(preset="imagenet")


def _ask(model: Path, *images: Path | str, **changes: object) -> PredictReport:
    request = {"preprocessing": IMAGENET, "threads": 1, **changes}
    return predict(model, [str(image) for image in images], **request)  # type: ignore[arg-type]


def test_folders_stand_for_their_images_and_the_order_is_kept(colour_model: Writer, colours: Path) -> None:
    report = _ask(colour_model(), colours / "green.png", colours, batch_size=2)
    names = [Path(prediction.image).stem for prediction in report.predictions]
    assert names[0] == "green"
    assert names[1:] == ["blue", "green", "grey", "red"]
    labels = {Path(prediction.image).stem: prediction.label for prediction in report.predictions}
    assert (labels["red"], labels["green"], labels["blue"]) == (0, 1, 2)


def test_an_answer_does_not_depend_on_the_batch(colour_model: Writer, colours: Path) -> None:
    singly, batched = (_ask(colour_model(), colours, batch_size=size).predictions for size in (1, 16))
    assert singly == batched
    fixed = _ask(colour_model("fixed.onnx", batch=3), colours).predictions
    assert [prediction.label for prediction in fixed] == [prediction.label for prediction in batched]


def test_logits_become_the_same_probabilities_as_a_softmax_gives(colour_model: Writer, colours: Path) -> None:
    with_softmax = _ask(colour_model("a.onnx"), colours).predictions
    without = _ask(colour_model("b.onnx", softmax=False), colours).predictions
    for ours, theirs in zip(without, with_softmax, strict=True):
        assert [answer.label for answer in ours.answers] == [answer.label for answer in theirs.answers]
        assert sum(answer.probability for answer in ours.answers) == pytest.approx(1)
        assert [answer.probability for answer in ours.answers] == pytest.approx(
            [answer.probability for answer in theirs.answers], abs=1e-6
        )


def test_scores_of_a_softmax_are_shown_as_they_are(colour_model: Writer) -> None:
    contract = ModelArtifact.load(colour_model()).contract
    scores = np.array([[0.5, 0.25, 0.2]], np.float32)
    assert probabilities(scores, contract).tolist() == pytest.approx(np.array([[0.5, 0.25, 0.2]]), abs=1e-7)


@given(arrays(np.float32, (3, 5), elements=st.floats(-50, 50, width=32)))
def test_probabilities_of_logits_sum_to_one_and_keep_the_order(logits: NDArray[np.float32]) -> None:
    shape = TensorContract("scores", ("N", 5), "float32")
    contract = ModelContract(TensorContract("image", ("N", 3, 8, 8), "float32"), shape, 5, scores="logits")
    chances = probabilities(logits, contract)
    assert chances.sum(axis=1) == pytest.approx(np.ones(3))
    np.testing.assert_array_equal(
        np.take_along_axis(chances, logits.argmax(axis=1)[:, None], axis=1)[:, 0], chances.max(axis=1)
    )


def test_a_shared_highest_score_is_reported(colour_model: Writer, colours: Path) -> None:
    preprocessing = PreprocessingBlock(preset="imagenet", mean=(0, 0, 0), std=(1, 1, 1))
    report = _ask(colour_model(), colours / "grey.png", preprocessing=preprocessing)
    assert report.predictions[0].tied == 3
    assert [answer.label for answer in report.predictions[0].answers] == [0, 1, 2]
    assert "3 classes share the highest score" in predict_text(report)


def test_preprocessing_comes_from_the_models_metadata(colour_model: Writer, colours: Path) -> None:
    swapped = PRESETS["caffe"].for_input_size(8, 8)
    model = colour_model(metadata={PREPROCESSING: swapped.model_dump_json()})
    report = _ask(model, colours / "red.png", preprocessing=PreprocessingBlock())
    assert report.predictions[0].label == 2  # channels in the order BGR
    assert report.preprocessing == "'caffe', from the model's metadata"
    changed = _ask(model, colours / "red.png", preprocessing=PreprocessingBlock(channel_order="RGB"))
    assert changed.predictions[0].label == 0
    assert changed.preprocessing.endswith("changed as asked")
    asked = _ask(model, colours / "red.png", preprocessing=IMAGENET)
    assert asked.preprocessing == "'imagenet', as asked"


def test_damaged_metadata_is_named(colour_model: Writer, colours: Path) -> None:
    model = colour_model(metadata={PREPROCESSING: '{"preset": "caffe"}'})
    with pytest.raises(ModelError, match="metadata is damaged"):
        _ask(model, colours, preprocessing=PreprocessingBlock())


def test_without_any_preprocessing_the_presets_are_listed(colour_model: Writer, colours: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ask(colour_model(), colours, preprocessing=PreprocessingBlock())
    assert "caffe, imagenet" in str(caught.value)


def test_one_image_comes_from_standard_input(colour_model: Writer, colour_png: Callable[[str], bytes]) -> None:
    report = _ask(colour_model(), "-", standard_input=lambda: colour_png("blue"))
    assert (report.predictions[0].image, report.predictions[0].label) == ("-", 2)
    with pytest.raises(DataError, match="twice"):
        _ask(colour_model(), "-", "-", standard_input=lambda: b"")
    with pytest.raises(DataError, match="cannot be read"):
        _ask(colour_model(), "-", standard_input=lambda: b"")


def test_unreadable_images_are_named_or_left_out(colour_model: Writer, colours: Path) -> None:
    (colours / "broken.png").write_bytes((colours / "red.png").read_bytes()[:40])
    with pytest.raises(DataError) as caught:
        _ask(colour_model(), colours)
    assert "broken.png" in str(caught.value)
    report = _ask(colour_model(), colours, skip_unreadable=True)
    assert len(report.predictions) == 4
    assert [Path(image.image).name for image in report.left_out] == ["broken.png"]
    with pytest.raises(DataError):
        _ask(colour_model(), colours / "broken.png", skip_unreadable=True)


def test_what_is_not_there_is_named(colour_model: Writer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png"):
        _ask(colour_model(), tmp_path / "none.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images here"):
        _ask(colour_model(), tmp_path / "empty")


def test_two_models_are_compared_image_by_image(colour_model: Writer, colours: Path) -> None:
    model, other = colour_model("one.onnx"), colour_model("other.onnx", softmax=False)
    same = _ask(model, colours, compare=other)
    assert same.agreement == 1.0
    assert all(prediction.agrees for prediction in same.predictions)
    with pytest.raises(ModelError, match="different numbers of classes"):
        _ask(model, colours, compare=colour_model("five.onnx", classes=5))


def test_classes_are_named(tmp_path: Path, colour_model: Writer, colours: Path) -> None:
    assert class_names(3) is None
    thousand, more = class_names(1000), class_names(1001)
    assert thousand is not None
    assert thousand[0] == "tench"
    assert more == ("background", *thousand)
    names = tmp_path / "names.txt"
    names.write_text("n01440764 crimson\nlime\nn02 azure\n\n")
    report = _ask(colour_model(), colours / "red.png", class_names=names, top=2)
    assert report.predictions[0].answers[0].name == "crimson"
    assert len(report.predictions[0].answers) == 2
    assert class_names(3, names) == ("crimson", "lime", "n02 azure")
    with pytest.raises(DataError, match="not one name for each class"):
        class_names(4, names)


@pytest.mark.real
def test_squeezenet_knows_the_first_photographs(squeezenet: Path, shared: Path) -> None:
    folder = shared / "imagenet" / "val"
    few = sorted(folder.iterdir())[:6]
    report = _ask(squeezenet, *few, preprocessing=PreprocessingBlock())
    assert report.preprocessing == "'caffe', of squeezenet1.0-12 in the catalog"
    right = [prediction.answers[0].name for prediction in report.predictions]
    assert right[:2] == ["tench", "great white shark"]
