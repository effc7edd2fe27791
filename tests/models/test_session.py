from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from quantize.errors import ModelError
from quantize.models.contract import model_contract
from quantize.models.equivalence import Scorer, check_images, largest_difference
from quantize.models.session import open_session

Classifier = Callable[..., ModelProto]


def test_a_session_has_the_threads_that_it_was_asked_for(classifier: Classifier) -> None:
    session = open_session(classifier().SerializeToString(), threads=2, spinning=False)

    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_session_options().inter_op_num_threads == 1


def test_no_threads_are_a_mistake_of_the_caller(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="at least one thread"):
        open_session(classifier().SerializeToString(), threads=0)


def test_a_model_that_onnxruntime_refuses_is_an_error_of_the_user(
    classifier: Classifier, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    model = classifier()
    model.graph.node[0].op_type = "Sharpen"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match="Sharpen") as error:
        open_session(path)
    assert error.value.where == str(path)
    assert capfd.readouterr() == ("", "")


def test_the_graph_as_onnxruntime_runs_it_is_written_on_request(classifier: Classifier, tmp_path: Path) -> None:
    open_session(classifier().SerializeToString(), optimization="basic", optimized_path=tmp_path / "optimized.onnx")

    assert onnx.load(tmp_path / "optimized.onnx").graph.node


def test_a_profile_begins_with_the_name_that_was_asked_for(classifier: Classifier, tmp_path: Path) -> None:
    session = open_session(classifier().SerializeToString(), profile_prefix=tmp_path / "profile")

    assert Path(session.end_profiling()).name.startswith("profile")


@pytest.mark.parametrize("batch", ["N", 1, 2, 3])
def test_scores_come_one_row_an_image_whatever_batch_the_model_takes(classifier: Classifier, batch: int | str) -> None:
    model = classifier(image=[batch, 3, 8, 8], scores=[batch, 4, 1, 1])
    scorer = Scorer.of(model.SerializeToString(), model_contract(model))
    images = check_images(scorer.contract)

    assert scorer.scores(images, 2).shape == (2, 4)
    np.testing.assert_allclose(scorer.scores(images, 1), scorer.scores(images, 2), atol=1e-6)


def test_check_images_are_always_the_same(classifier: Classifier) -> None:
    contract = model_contract(classifier())

    np.testing.assert_array_equal(check_images(contract), check_images(contract))
    assert check_images(contract).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("scores", "difference"),
    [
        ([1.0, 2.0, 4.0], 0.0),
        ([1.0, 2.0, 4.4], 0.1),
        ([1.0, 2.0, np.nan], np.inf),
        ([1.0, 2.0, np.inf], np.inf),
    ],
)
def test_differences_are_relative_to_the_largest_score(scores: list[float], difference: float) -> None:
    expected = np.array([[1.0, 2.0, 4.0]], np.float32)

    assert largest_difference(expected, np.array([scores], np.float32)) == pytest.approx(difference, rel=1e-5)


def test_small_scores_are_compared_as_they_are() -> None:
    expected = np.array([[0.1, 0.2]], np.float32)

    assert largest_difference(expected, expected + np.float32(0.01)) == pytest.approx(0.01, rel=1e-4)


def test_the_same_infinities_and_nans_are_no_difference() -> None:
    strange = np.array([[np.nan, np.inf, 1.0]], np.float32)

    assert largest_difference(strange, strange) == 0.0


def test_a_session_does_not_keep_the_bytes_that_it_was_opened_from(classifier: Classifier) -> None:
    content = classifier().SerializeToString()
    before = sys.getrefcount(content)
    session = open_session(content)
    assert sys.getrefcount(content) == before
    assert session.get_inputs()
