"""What `inspect` says of a file whose weights are stored in int8 and computed in fp32."""

from __future__ import annotations

from pathlib import Path

from quantize.commands.models import inspect_model, inspection_text
from quantize.models.artifact import save_model
from tests.engines.native.search.conftest import classifier_graph
from tests.formats.test_float_weights import stored_classifier


def test_layers_stored_in_int8_are_called_so_with_what_opening_them_takes(tmp_path: Path) -> None:
    model, _ = stored_classifier()
    inspection = inspect_model(save_model(model, tmp_path / "stored.onnx").path)
    assert inspection.stored == ("stem", "left", "right", "last")
    assert inspection.opening is not None
    assert inspection.opening.load_ns > 0
    text = inspection_text(inspection)
    assert "4 layers stored in int8, computed in fp32; opening it takes" in text
    assert "0.0 % of them in int8" in text


def test_nothing_is_said_of_other_files(tmp_path: Path) -> None:
    inspection = inspect_model(save_model(classifier_graph(), tmp_path / "plain.onnx").path)
    assert inspection.stored == ()
    assert "stored" not in inspection_text(inspection).replace("stored.onnx", "")
