from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batch
from quantize.engines.ort.quantizer import Quantizer, TimeIsUpError, excluding, with_float_scores
from quantize.engines.ort.worker import BatchReader
from quantize.engines.task import CalibrationSet
from quantize.errors import EngineError, StorageError
from quantize.formats import quantized_format
from quantize.models.artifact import ModelArtifact, save_model
from quantize.recipe import Recipe

PLAIN = excluding(Recipe(engine="ort"), ["gap", "flatten", "softmax"])


def types_of(model: ModelArtifact, op_type: str) -> set[int]:
    """Return the integer types that ops of a type produce or consume."""
    proto = model.proto()
    stored = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    return {stored[node.input[2]] for node in proto.graph.node if node.op_type == op_type and node.input[2] in stored}


@pytest.fixture
def quantizer(small_model: ModelArtifact, calibration: CalibrationSet, tmp_path: Path):
    with Quantizer(small_model, calibration, tmp_path / "work") as made:
        yield made


@pytest.mark.parametrize("rule", ["minmax", "percentile:99.999", "entropy"])
def test_a_recipe_gives_the_same_graph_every_time_with_ranges_kept_or_collected_again(
    quantizer: Quantizer, small_model: ModelArtifact, calibration: CalibrationSet, tmp_path: Path, rule: str
) -> None:
    recipe = PLAIN.but(range_rule=rule)
    first = quantizer.build(recipe)
    with Quantizer(small_model, calibration, tmp_path / "elsewhere") as other:
        assert other.build(recipe).graph_sha256 == first.graph_sha256
    assert quantizer.build(recipe).graph_sha256 == first.graph_sha256
    assert quantized_format(first.proto()) == "qdq"


def test_the_settings_are_those_of_the_recipe(quantizer: Quantizer) -> None:
    plain = quantizer.build(PLAIN)
    assert types_of(plain, "QuantizeLinear") == {TensorProto.UINT8}
    signed = quantizer.build(PLAIN.but(activation_type="int8", symmetric_activations=True))
    assert types_of(signed, "QuantizeLinear") == {TensorProto.INT8}
    zeros = {
        int(numpy_helper.to_array(tensor))
        for tensor in signed.proto().graph.initializer
        if tensor.name.endswith("_zero_point") and not tensor.dims
    }
    assert zeros == {0}
    narrow = quantizer.build(PLAIN.but(reduce_range=True))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in narrow.proto().graph.initializer}
    assert np.abs(weights["w2_quantized"].astype(int)).max() <= 64
    assert weights["w2_scale"].shape == (6,)
    whole = quantizer.build(PLAIN.but(per_channel=False))
    assert {tensor.name: tensor for tensor in whole.proto().graph.initializer}["w2_scale"].dims == []


def test_excluded_nodes_and_op_types_stay_in_float(quantizer: Quantizer) -> None:
    model = quantizer.build(excluding(PLAIN.but(float_op_types=("Concat",)), [*PLAIN.float_nodes, "left"])).proto()
    makers = {name: node for node in model.graph.node for name in node.output}
    named = {node.name: node for node in model.graph.node}
    assert named["left"].input[1] == "w1"
    assert makers[named["right"].input[1]].op_type == "DequantizeLinear"
    (readers,) = ([node.op_type for node in model.graph.node if "cat" in node.input],)
    assert readers == ["MaxPool"]  # which is left in float where it is given float


def test_everything_that_the_quantizer_leaves_lies_in_the_work_folder(
    small_model: ModelArtifact,
    calibration: CalibrationSet,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with Quantizer(small_model, calibration, tmp_path / "work") as quantizer:
        built = quantizer.build(PLAIN.but(range_rule="entropy"))
    assert list((tmp_path / "here").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["candidates", "onnxruntime_quantizer.log"]
    assert built.path == tmp_path / "work" / "candidates" / f"{PLAIN.but(range_rule='entropy').id}.onnx"
    assert capfd.readouterr() == ("", "")
    assert "Collecting tensor data" in (tmp_path / "work" / "onnxruntime_quantizer.log").read_text()


def test_a_model_of_a_fixed_batch_is_calibrated_on_images_that_fill_no_batch(
    small_model: ModelArtifact, small_images: np.ndarray, tmp_path: Path
) -> None:
    proto = small_model.proto()
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 5
    model = save_model(proto, tmp_path / "five.onnx")
    few = CalibrationSet([Batch(("a", "b", "c"), small_images[:3], None)], 3, "few")
    with Quantizer(model, few, tmp_path / "work") as quantizer:
        assert quantizer.build(PLAIN).contract.fixed_batch == 5


def test_batches_are_read_in_parts_and_filled_from_the_beginning(tmp_path: Path) -> None:
    images = np.arange(7, dtype=np.float32).reshape(7, 1)
    images.tofile(tmp_path / "images")
    job = {"images": str(tmp_path / "images"), "shape": [7, 1], "input": "x", "dtype": "uint8", "batch_size": 3}
    reader = BatchReader(job)
    assert len(reader) == 3
    reader.set_range(1, 3)
    batches = [batch["x"].ravel().tolist() for batch in iter(reader.get_next, None)]
    assert batches == [[3, 4, 5], [6, 0, 1]]


def test_a_failure_of_the_quantizer_is_an_error_of_the_engine(quantizer: Quantizer) -> None:
    with pytest.raises(EngineError, match="onnxruntime's quantizer failed"):
        quantizer.build(PLAIN.but(range_rule="unheard of"))


def test_what_the_system_refuses_to_the_quantizer_is_no_failed_trial(quantizer: Quantizer, tmp_path: Path) -> None:
    (scratch,) = (tmp_path / "work").glob("ort-*")
    (scratch / "built.onnx").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        quantizer.build(PLAIN)


def test_a_deadline_that_has_passed_ends_the_work(quantizer: Quantizer) -> None:
    with pytest.raises(TimeIsUpError):
        quantizer.build(PLAIN, deadline=time.monotonic() - 1)
    with pytest.raises(TimeIsUpError):
        quantizer.build(PLAIN, deadline=time.monotonic() + 0.01)


def rounded(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """Return a model whose tensor ``x`` is rounded to ``r``, followed by these nodes."""
    levels = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["r"], "dequantize"),
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["given"], ["x"], "relu"), *levels, *nodes],
        "scores",
        [helper.make_tensor_value_info("given", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(nodes[-1].output[0] if nodes else "r", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_scores_are_not_rounded_whatever_keeps_them_after_the_last_layer() -> None:
    model = with_float_scores(rounded(helper.make_node("Softmax", ["r"], ["y"], "softmax")))
    assert [node.op_type for node in model.graph.node] == ["Relu", "Softmax"]
    assert model.graph.node[1].input[0] == "x"
    alone = with_float_scores(rounded())
    assert [(node.op_type, list(node.output)) for node in alone.graph.node] == [("Relu", ["r"])]


def test_logits_that_are_an_output_of_their_own_keep_their_name() -> None:
    model = rounded(helper.make_node("Softmax", ["r"], ["y"], "softmax"))
    model.graph.output.append(helper.make_empty_tensor_value_info("r"))
    freed = with_float_scores(model)
    assert [(node.op_type, *node.input, *node.output) for node in freed.graph.node] == [
        ("Relu", "given", "r"),
        ("Softmax", "r", "y"),
    ]


def test_what_is_averaged_after_rounding_stays_rounded() -> None:
    model = rounded(helper.make_node("GlobalAveragePool", ["r"], ["y"], "pool"))
    assert with_float_scores(model) == model


def test_the_images_are_given_in_the_type_and_layout_of_the_model(
    small_model: ModelArtifact, calibration: CalibrationSet, tmp_path: Path
) -> None:
    proto = small_model.proto()
    first = proto.graph.node[0]
    first.input[0] = "laid"
    proto.graph.node.insert(0, helper.make_node("Transpose", ["x"], ["laid"], "lay", perm=[0, 3, 1, 2]))
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(list(dims)[1:], (16, 16, 3), strict=True):
        dim.dim_value = size
    model = save_model(proto, tmp_path / "nhwc.onnx")
    assert model.contract.input_layout == "NHWC"
    with Quantizer(model, replace(calibration), tmp_path / "work") as quantizer:
        assert quantized_format(quantizer.build(PLAIN).proto()) == "qdq"
