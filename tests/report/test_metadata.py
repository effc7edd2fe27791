from __future__ import annotations

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from quantize.graph.identity import graph_sha256
from quantize.report.metadata import PREFIX, facts, read_facts, stamped
from quantize.report.schema import RunReport

_KEYS = st.text(min_size=1, max_size=20).map(lambda key: PREFIX + key)


def _model() -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", values[:1], values[1:])
    model = helper.make_model(graph)
    model.metadata_props.add(key="author", value="somebody")
    return model


@given(st.dictionaries(_KEYS, st.text(max_size=50), max_size=5))
def test_metadata_do_not_change_the_graphs_identity(said: dict[str, str]) -> None:
    model = _model()
    written = onnx.ModelProto.FromString(stamped(model, said).SerializeToString(deterministic=True))
    assert graph_sha256(written) == graph_sha256(model)
    assert read_facts(written) == said


def test_others_metadata_are_kept_and_own_ones_replaced() -> None:
    twice = stamped(stamped(_model(), {f"{PREFIX}a": "1", f"{PREFIX}b": "1"}), {f"{PREFIX}a": "2"})
    assert {entry.key: entry.value for entry in twice.metadata_props} == {"author": "somebody", f"{PREFIX}a": "2"}


def test_a_run_says_where_its_models_come_from(report: RunReport) -> None:
    said = facts(report, "int8")
    assert said["quantize.recipe_id"] == report.chosen.recipe_id
    assert said["quantize.source_sha256"] == report.source.sha256
    assert said["quantize.calibration_fingerprint"] == report.provenance.calibration_fingerprint
    assert float(said["quantize.top1"]) == report.model("int8").selection.evaluation.top1.expected  # type: ignore[union-attr]
    assert said["quantize.onnxruntime"]


def test_the_same_run_says_the_same_whenever_it_was_made(report: RunReport) -> None:
    later = report.model_copy(update={"provenance": report.provenance.model_copy(update={"created": "later"})})
    assert facts(later, "qdq") == facts(report, "qdq")
