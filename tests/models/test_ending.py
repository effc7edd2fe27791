from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.models.prepare import prepare, prepare_whole
from quantize.models.session import open_session

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def network(opset: int = 13) -> ModelProto:
    """Return Conv, pooled, `scores`; from these probabilities and the class' label; a map and a mean beside them."""
    squeeze = {"axes": [1]} if opset < 13 else {}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["chances"], axis=1),
        helper.make_node("ArgMax", ["chances"], ["row"], axis=1, keepdims=1),
        helper.make_node("Squeeze", ["row"] if opset < 13 else ["row", "one"], ["best"], **squeeze),
        helper.make_node("Mul", ["chances", "scores"], ["weighted"]),
        helper.make_node("GlobalMaxPool", ["map"], ["highest"]),
        helper.make_node("Flatten", ["highest"], ["high"]),
        helper.make_node("Add", ["weighted", "high"], ["mixed"]),
    ]
    generator = np.random.default_rng(0)
    outputs = {
        "best": (INT64, ["N"]),
        "mixed": (FLOAT, ["N", 4]),
        "scores": (FLOAT, ["N", 4]),
        "map": (FLOAT, ["N", 4, 6, 6]),
    }
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [
            numpy_helper.from_array(generator.standard_normal((4, 3, 3, 3)).astype(np.float32), "w"),
            numpy_helper.from_array(np.array([1]), "one"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def answers(path: Path) -> list[np.ndarray]:
    session = open_session(path)
    images = np.random.default_rng(1).standard_normal((3, 3, 8, 8)).astype(np.float32)
    return list(session.run(None, {session.get_inputs()[0].name: images}))


def saved(model: ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def test_nothing_is_computed_from_the_scores_of_a_prepared_model(tmp_path: Path) -> None:
    clean = prepare_whole(saved(network(), tmp_path), tmp_path / "fp32.onnx", score_output="scores")
    core = clean.model.proto()

    assert [value.name for value in core.graph.output] == ["scores", "map", "high"]
    assert not {"Softmax", "ArgMax"} & {node.op_type for node in core.graph.node}
    assert clean.model.contract.output.name == "scores"


@pytest.mark.parametrize("opset", [11, 13])
def test_the_whole_model_gives_what_the_file_gave(tmp_path: Path, opset: int) -> None:
    source = saved(network(opset), tmp_path)
    clean = prepare_whole(source, tmp_path / "fp32.onnx", opset=13, score_output="scores")

    written = onnx.load(clean.whole.path)
    assert [value.SerializeToString() for value in written.graph.output] == [
        value.SerializeToString() for value in network().graph.output
    ]
    for own, expected in zip(answers(clean.whole.path), answers(source), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-5)


def test_an_ending_is_lowered_with_its_model(tmp_path: Path) -> None:
    source = saved(network(11), tmp_path)
    clean = prepare_whole(source, tmp_path / "fp32.onnx", opset=13, score_output="scores")
    assert clean.ending is not None
    older = prepare(source, tmp_path / "older.onnx", score_output="scores")

    assert older.opset == 12
    whole = clean.ending.attached(older.proto())
    onnx.checker.check_model(whole, full_check=True)
    onnx.save(whole, tmp_path / "whole.onnx")
    for own, expected in zip(answers(tmp_path / "whole.onnx"), answers(source), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-5)


def test_a_file_that_gives_its_scores_alone_has_no_ending(tmp_path: Path) -> None:
    model = network()
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("chances", FLOAT, ["N", 4]))
    clean = prepare_whole(saved(model, tmp_path), tmp_path / "fp32.onnx")

    assert clean.ending is None
    assert clean.whole is clean.model
    assert not clean.model.proto().metadata_props
