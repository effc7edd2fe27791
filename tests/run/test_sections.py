from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import onnx
import pytest

from quantize.config import load_config
from quantize.engines.protocols import Goal
from quantize.graph.identity import weights_sha256
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.provenance import fingerprint, sha256_file
from quantize.run.accuracy import baseline_accuracy
from quantize.run.request import TuneResult
from quantize.run.sections import criterion_section, model_section, source_section
from quantize.run.target import with_target
from tests.run.conftest import Configured, Evaluated


def test_the_source_is_told_as_the_user_named_it(colour_model: Path) -> None:
    artifact = ModelArtifact.load(colour_model)
    found = source_section(Path("as/named.onnx"), artifact, catalog_entry_for(artifact.proto()))
    assert (found.path, found.catalog, found.published, found.opset) == ("as/named.onnx", None, (), 13)
    assert found.sha256 == sha256_file(colour_model)
    assert found.weights_sha256 == weights_sha256(onnx.load(colour_model))


def test_a_models_file_is_relative_to_the_run_even_beside_it(evaluated: Evaluated, colour_model: Path) -> None:
    artifact, accuracy = ModelArtifact.load(colour_model), baseline_accuracy(evaluated([True, False]))
    beside = model_section("int8", artifact, colour_model.parent / "net.run", accuracy, None)
    inside = model_section("int8", artifact, colour_model.parent, accuracy, None)
    assert (beside.file, inside.file) == ("../colours-13.onnx", "colours-13.onnx")
    assert beside.ops == {"Conv": 2, "Flatten": 1, "GlobalAveragePool": 1, "Relu": 1, "Softmax": 1}
    assert beside.multiply_adds == 32 * 32 * (8 * 3 * 9 + 6 * 8)
    assert beside.integer_share == 0


@pytest.mark.parametrize(
    ("goal", "floor"),
    [
        (Goal("top1", baseline=0.5, relative=0.02), 0.49),
        (Goal("top1", baseline=0.5, absolute=0.02), 0.48),
        (Goal("agreement", minimum=0.9), 0.9),
        (Goal("none"), None),
    ],
)
def test_the_criterion_is_told_with_the_lowest_value_that_passes(goal: Goal, floor: float | None) -> None:
    tuning = load_config(None, {"tuning.accuracy_criterion.confidence": 0.9, "tuning.speed_criterion.min_speedup": 1.5})
    found = criterion_section(goal, tuning.tuning)
    assert found.min_speedup == 1.5
    assert (found.metric, found.relative, found.absolute) == (goal.metric, goal.relative, goal.absolute)
    assert (found.minimum, found.confidence) == (goal.minimum, 0.9)
    assert found.floor == (pytest.approx(floor) if floor is not None else None)


@pytest.mark.inc
def test_the_provenance_of_a_run_names_what_decided_it(colour_run: TuneResult, configured: Configured) -> None:
    found = colour_run.report.provenance
    assert found.config_fingerprint == fingerprint(with_target(configured()).model_dump(mode="json"))
    assert found.data_fingerprint != found.calibration_fingerprint
    assert {"onnx", "onnxruntime", "numpy"} <= set(found.versions)
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found.created)
    assert 0 <= age.total_seconds() < 3600
