from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import onnx.shape_inference
import pytest

from quantize.engines.ort.worker import tell_unwritten_shapes
from quantize.models.artifact import ModelArtifact


@pytest.fixture(autouse=True)
def told() -> Iterator[None]:
    kept = onnx.shape_inference.infer_shapes_path
    tell_unwritten_shapes()
    yield
    vars(onnx.shape_inference)["infer_shapes_path"] = kept


def test_a_model_whose_shapes_were_written_is_left_alone(small_model: ModelArtifact, tmp_path: Path) -> None:
    onnx.shape_inference.infer_shapes_path(str(small_model.path), str(tmp_path / "inferred.onnx"))
    assert onnx.load(tmp_path / "inferred.onnx").graph.node


def test_onnx_says_nothing_of_a_file_that_it_cannot_write_and_is_made_to(small_model: ModelArtifact) -> None:
    with pytest.raises(OSError, match="could not be written") as caught:
        onnx.shape_inference.infer_shapes_path(str(small_model.path), "/proc/nowhere/inferred.onnx")
    assert caught.value.errno == errno.EIO
