from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from quantize.models.artifact import ModelArtifact
from quantize.models.download.fetch import fetch
from quantize.models.prepare import prepare
from quantize.models.session import open_session


def published(shared: Path, kind: str) -> NDArray[np.float32]:
    tensor = onnx.TensorProto()
    tensor.ParseFromString((shared / "models" / f"squeezenet_test_data_set_0_{kind}_0.pb").read_bytes())
    values: NDArray[np.float32] = numpy_helper.to_array(tensor)
    return values


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


def test_a_rebuilt_model_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (
        fetch("squeezenet1.0-12", tmp_path / f"{name}.onnx", source="rebuilt") for name in ("first", "second")
    )

    assert first.source == second.source == "rebuilt"
    assert first.sha256 == second.sha256


@pytest.mark.parametrize("opset", [3, 6, 7, 8, 9])
def test_an_older_file_is_laid_out_as_the_original(opset: int, tmp_path: Path) -> None:
    model = fetch(f"squeezenet1.0-{opset}", tmp_path / "original.onnx", source="rebuilt").artifact.proto()

    assert model.ir_version == 3
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.graph.input[0].name == "conv1_w_0"
    assert {tensor.name for tensor in model.graph.initializer} < {value.name for value in model.graph.input}
    assert [len(node.output) for node in model.graph.node if node.op_type == "Dropout"] == [2]
    assert not any(node.name for node in model.graph.node)


@pytest.mark.parametrize("opset", [3, 6, 7, 8, 9])
def test_every_opset_is_prepared_to_the_same_graph_but_for_the_nodes_names(
    opset: int, squeezenet: Path, tmp_path: Path
) -> None:
    original = fetch(f"squeezenet1.0-{opset}", tmp_path / "original.onnx", source="rebuilt")

    graphs = []
    for source in (original.path, squeezenet):
        graph = prepare(source, tmp_path / "prepared.onnx").proto().graph
        for node in graph.node:
            node.ClearField("name")
        graphs.append(graph.SerializeToString(deterministic=True))

    assert graphs[0] == graphs[1]
