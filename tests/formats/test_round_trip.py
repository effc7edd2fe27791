"""QLinear to QDQ and back: the same integers in, the same scores out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.formats import quantized_format, to_qdq, to_qlinear
from tests.formats.small_graphs import qlinear_graphs, run

Case = tuple[ModelProto, dict[str, NDArray[Any]]]


@given(qlinear_graphs())
@settings(deadline=None, max_examples=60)
def test_both_formats_score_as_the_source_to_the_bit(case: Case) -> None:
    source, feeds = case
    expected = run(source, feeds)[0]
    qdq = to_qdq(source)
    back = to_qlinear(qdq)
    for model, opset in ((qdq, 13), (back, 12)):
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == opset
        np.testing.assert_array_equal(run(model, feeds)[0], expected)
    assert quantized_format(qdq) == "qdq"


@given(qlinear_graphs())
@settings(deadline=None, max_examples=25)
def test_qdq_computed_in_float_means_the_same_numbers(case: Case) -> None:
    source, feeds = case
    expected = run(source, feeds)[0]
    scores = run(to_qdq(source), feeds, optimize=False)[0]
    moved = np.sqrt(np.mean((scores - expected) ** 2))
    assert moved <= 0.05 * max(np.sqrt(np.mean(expected**2)), 0.5)


@given(qlinear_graphs())
@settings(deadline=None, max_examples=25)
def test_converting_changes_neither_its_argument_nor_a_converted_model(case: Case) -> None:
    source, _ = case
    before = source.SerializeToString(deterministic=True)
    qdq = to_qdq(source)
    qlinear = to_qlinear(qdq)
    assert source.SerializeToString(deterministic=True) == before
    assert _integers(to_qlinear(qlinear)) == _integers(qlinear) == _integers(source)
    assert _integers(to_qdq(qdq)) == _integers(qdq)


@given(qlinear_graphs())
@settings(deadline=None, max_examples=25)
def test_weights_scales_and_operators_come_through(case: Case) -> None:
    source, _ = case
    back = to_qlinear(to_qdq(source))
    kinds = ("QLinearConcat", "Concat")  # a Concat of equal scales comes back as one of bytes
    assert sorted("Concat" if n.op_type in kinds else n.op_type for n in back.graph.node) == sorted(
        "Concat" if n.op_type in kinds else n.op_type for n in source.graph.node
    )
    assert [(v.name, v.type) for v in back.graph.input] == [(v.name, v.type) for v in source.graph.input]
    assert [(v.name, v.type) for v in back.graph.output] == [(v.name, v.type) for v in source.graph.output]


def _integers(model: ModelProto) -> list[bytes]:
    arrays = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    return sorted(array.tobytes() for array in arrays if array.dtype == np.int8)
