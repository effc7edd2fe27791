"""The CPUs that a model is for: a run's files do not depend on the machine that made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.api.request import TuneRequest, TuneResult
from quantize.api.tune import tune
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.report.text import summary
from tests.api.conftest import Configured, EndedSearch

pytestmark = pytest.mark.inc


@pytest.mark.parametrize(("target", "engine"), [("avx2", "inc"), ("any", "native")])
def test_models_for_cpus_without_vnni_cannot_saturate(
    target: str, engine: str, colour_model: Path, configured: Configured, tmp_path: Path, brief: None
) -> None:
    config = configured({"quantization.target": target, "tuning.engine": engine})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    for model in result.report.models:
        assert saturating_layers(ModelArtifact.load(result.run / model.file).proto()) == ()
    chosen = result.report.chosen
    assert (chosen.target, chosen.saturating_layers, chosen.recipe.reduce_range) == (target, 0, True)
    assert "no sum of integer products can saturate" in " ".join(summary(result.report).split())


def test_models_for_cpus_with_vnni_say_what_happens_on_others(colour_run: TuneResult) -> None:
    chosen = colour_run.report.chosen
    assert (chosen.target, chosen.recipe.reduce_range) == ("vnni", False)
    assert chosen.saturating_layers == 2
    assert "can saturate in 2 layers" in " ".join(summary(colour_run.report).split())


def test_a_candidate_that_could_saturate_is_not_written_for_such_cpus(
    colour_model: Path, configured: Configured, ended_search: EndedSearch, tmp_path: Path
) -> None:
    ended_search()
    config = configured({"quantization.target": "any"})
    with pytest.raises(RuntimeError, match="in spite of the target"):
        tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "run", workers=1))
    assert not (tmp_path / "run" / "report.json").exists()
