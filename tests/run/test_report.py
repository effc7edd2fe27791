from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import onnx

from quantize.graph.identity import weights_sha256
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.provenance import fingerprint, sha256_file
from quantize.run.evaluator import baseline_accuracy
from quantize.run.judging import model_section
from quantize.run.report import source_section
from quantize.run.request import TuneResult
from quantize.run.resolve import with_target
from tests.run.conftest import Configured, Evaluated


def test_the_source_is_named_as_the_user_named_it(colour_model: Path) -> None:
    artifact = ModelArtifact.load(colour_model)
    source = source_section(Path("as/named.onnx"), artifact, catalog_entry_for(artifact.proto()))
    assert (source.path, source.catalog, source.published, source.opset) == ("as/named.onnx", None, (), 13)
    assert source.sha256 == sha256_file(colour_model)
    assert source.weights_sha256 == weights_sha256(onnx.load(colour_model))


def test_a_models_file_is_relative_to_the_run_even_next_to_it(evaluated: Evaluated, colour_model: Path) -> None:
    artifact, accuracy = ModelArtifact.load(colour_model), baseline_accuracy(evaluated([True, False]))
    outside = model_section("int8", artifact, colour_model.parent / "net.run", accuracy, None)
    inside = model_section("int8", artifact, colour_model.parent, accuracy, None)
    assert (outside.file, inside.file) == ("../colours-13.onnx", "colours-13.onnx")
    assert outside.ops == {"Conv": 2, "Flatten": 1, "GlobalAveragePool": 1, "Relu": 1, "Softmax": 1}
    assert outside.multiply_adds == 32 * 32 * (8 * 3 * 9 + 6 * 8)
    assert outside.integer_share == 0


def test_the_provenance_of_a_run_names_what_decided_it(colour_run: TuneResult, configured: Configured) -> None:
    provenance = colour_run.report.provenance
    assert provenance.config_fingerprint == fingerprint(with_target(configured()).model_dump(mode="json"))
    assert provenance.data_fingerprint != provenance.calibration_fingerprint
    assert {"onnx", "onnxruntime", "numpy"} <= set(provenance.versions)
    age = datetime.now(timezone.utc) - datetime.fromisoformat(provenance.created)
    assert 0 <= age.total_seconds() < 3600


def test_every_convolution_of_a_run_has_its_error_in_the_report(colour_run: TuneResult) -> None:
    assert [layer.node for layer in colour_run.report.layers] == ["first", "second"]
    assert all(layer.sqnr_decibel is not None and layer.sqnr_decibel > 15 for layer in colour_run.report.layers)
