"""Networks that divide by what int8 may round to zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vocabulary import poles
from tests.vocabulary.engines import by_onnxruntime, natively
from tests.vocabulary.quantized import Built, sample, written


def test_a_norm_written_out_computes_in_float_where_its_mean_square_would_be_rounded_to_zero(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = written(sample(poles.normalized_by_mean_squares(), tmp_path), by_onnxruntime, tmp_path)
    assert min(made.sqnr) > 30
    assert made.layers == (3, [])
    types = [node.op_type for node in made.qlinear.graph.node]
    at = types.index("Pow")
    assert types[at : at + 5] == ["Pow", "ReduceMean", "Add", "Sqrt", "Reciprocal"]
    (told,) = [text for text in caplog.messages if text.startswith("Layer ")]
    assert "(Reciprocal) cannot be held to its int8 grids" in told
    assert told.endswith("such as 1 / 0: it computes in float.")


@pytest.mark.parametrize("build", [natively(), by_onnxruntime], ids=["native", "ort"])
def test_what_a_layer_reads_rounded_is_divided_by_in_float(build: Built, tmp_path: Path) -> None:
    made = written(sample(poles.reciprocal_of_what_a_conv_reads(), tmp_path), build, tmp_path)
    assert min(made.sqnr) > 30
    graph = made.qlinear.graph
    (divided,) = (node for node in graph.node if node.op_type == "Reciprocal")
    (added,) = (node for node in graph.node if divided.input[0] in node.output)
    assert added.op_type == "Add"
