"""What cannot compute on integers is told, where it is still in the written file."""

from __future__ import annotations

from pathlib import Path

from onnx import TensorProto, helper

from quantize.formats.float_reasons import FloatReason
from quantize.models.artifact import save_model
from quantize.run.build import _in_float
from quantize.run.export import Pair


def test_a_note_says_what_stays_in_float_and_not_what_became_a_table(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"], "pool"),
        helper.make_node("ReduceMean", ["p"], ["y"], "mean", axes=[2, 3], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "written",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    written = save_model(model, tmp_path / "int8.onnx")
    stay = {
        "mean": FloatReason("mean", "ReduceMean", "kernel", "QLinearReduceMean"),
        "swish": FloatReason("swish", "HardSwish", "operator"),
    }
    assert _in_float(stay, Pair(int8=written, qdq=written)) == (
        "1 ReduceMean stays in float: this onnxruntime has no integer kernel for it (QLinearReduceMean).",
    )
