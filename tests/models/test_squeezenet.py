from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from quantize.models.artifact import ModelArtifact
from quantize.models.fetch import fetch
from quantize.models.session import open_session


def published(shared: Path, kind: str) -> NDArray[np.float32]:
    tensor = onnx.TensorProto()
    tensor.ParseFromString((shared / "models" / f"squeezenet_test_data_set_0_{kind}_0.pb").read_bytes())
    return numpy_helper.to_array(tensor)


@pytest.mark.real
def test_the_rebuilt_model_gives_the_zoos_published_output(squeezenet: Path, shared: Path) -> None:
    (scores,) = open_session(squeezenet).run(None, {"data_0": published(shared, "input")})

    assert np.abs(scores - published(shared, "output")).max() < 1e-6


def test_the_rebuilt_model_has_the_zoos_contract(squeezenet: Path) -> None:
    artifact = ModelArtifact.load(squeezenet)

    assert artifact.opset == 12
    assert artifact.contract.input.name == "data_0"
    assert artifact.contract.input.shape == ("N", 3, 224, 224)
    assert artifact.contract.output.name == "softmaxout_1"
    assert (artifact.contract.classes, artifact.contract.scores) == (1000, "softmax")
    onnx.checker.check_model(artifact.proto(), full_check=True)


def test_a_rebuilt_model_has_the_same_bytes_every_time(squeezenet: Path, tmp_path: Path) -> None:
    again = fetch("squeezenet1.0-12", tmp_path / "again.onnx")

    assert again.path.read_bytes() == squeezenet.read_bytes()
    assert again.source == "rebuilt"
