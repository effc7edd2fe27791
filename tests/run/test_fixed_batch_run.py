"""A run on a model whose fixed batch size no part of the images fills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantize.models.artifact import ModelArtifact
from quantize.run.request import TuneRequest
from quantize.run.tune import tune
from tests.run.colours import COLOURS, colours
from tests.run.conftest import Configured

BATCH = 40


def with_fixed_batch(batch: int) -> onnx.ModelProto:
    """Return the classifier with a fixed batch size, which it reshapes into one row and back."""
    model = colours()
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    row, rows = np.array([batch * len(COLOURS)], np.int64), np.array([batch, len(COLOURS)], np.int64)
    model.graph.initializer.extend([numpy_helper.from_array(row, "row"), numpy_helper.from_array(rows, "rows")])
    flat = next(node for node in model.graph.node if node.name == "flat")
    at = list(model.graph.node).index(flat)
    model.graph.node.remove(flat)
    model.graph.node.insert(at, helper.make_node("Reshape", ["p", "row"], ["in_a_row"], "one_row"))
    model.graph.node.insert(at + 1, helper.make_node("Reshape", ["in_a_row", "rows"], ["f"], "rows_again"))
    return model


@pytest.mark.usefixtures("brief")
def test_a_model_that_requires_a_large_batch_is_tuned_and_its_layers_have_an_error(
    configured: Configured, tmp_path: Path
) -> None:
    onnx.save(with_fixed_batch(BATCH), tmp_path / "net.onnx")
    config = configured(
        {
            "tuning.engine": "native",
            "quantization.calibration.sampling_size": 10,
            "input_contract": "uint8-nhwc",
            "rewrites": "default",
        }
    )
    result = tune(
        TuneRequest(
            config, input_model=tmp_path / "net.onnx", output_model=tmp_path / "out", workers=1, pair_seconds=0.2
        )
    )
    report = result.report
    assert ModelArtifact.load(result.run / report.model("int8").file).contract.fixed_batch == BATCH
    assert report.input_contract is not None
    assert report.input_contract.images == 10
    assert [layer.node for layer in report.layers] == ["first", "second"]
    assert all(layer.sqnr_decibel is not None for layer in report.layers)
