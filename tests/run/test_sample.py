"""A run that judges its candidates on a share of the images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from quantize.engines import image_budget
from quantize.evaluation import evaluate as evaluation
from quantize.run import export, sample
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.conftest import Configured, EndedSearch

_SAMPLE = 40


@pytest.fixture
def inferences(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the images of every inference by the model's role."""
    counted: Counter[str] = Counter()
    opened: dict[int, str] = {}
    before, scores = evaluation.open_scores, evaluation.scores_of

    def opening(model: Any, **settings: Any) -> Any:
        session = before(model, **settings)
        opened[id(session)] = "fp32" if Path(model.path).name == "fp32.onnx" else "int8"
        counted["sessions"] += 1
        kept.append(session)  # so that no other gets its id
        return session

    def counting(session: Any, contract: Any, images: Any) -> Any:
        counted[opened[id(session)]] += len(images)
        return scores(session, contract, images)

    kept: list[Any] = []
    for module in (evaluation, export):
        monkeypatch.setattr(module, "open_scores", opening)
        monkeypatch.setattr(module, "scores_of", counting)
    return counted


@pytest.fixture
def sampled(
    inferences: Counter[str],
    ended_search: EndedSearch,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TuneResult:
    """Return a run in which 40 images are a sample."""
    ended_search()
    monkeypatch.setattr(sample, "SAMPLE", _SAMPLE)
    monkeypatch.setattr(image_budget, "_LEAST", 16)
    config = configured({"tuning.certification": "0.3"})
    return tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out", workers=1))


def test_candidates_are_judged_on_a_share_and_the_files_on_all_images(sampled: TuneResult) -> None:
    report = sampled.report
    seen, unseen = report.data.evaluation, report.data.certification
    assert seen > _SAMPLE
    assert unseen > 0
    for model in report.models:
        assert model.selection.evaluation.n == seen
        assert model.certification is not None
        assert model.certification.evaluation.n == unseen
    assert {trial.images for trial in report.trials} < set(range(seen + 1))


def test_fp32_runs_once_on_every_image_and_each_file_once(sampled: TuneResult, inferences: Counter[str]) -> None:
    data = sampled.report.data
    assert inferences["fp32"] == data.evaluation + data.certification
    # both files on all images, and candidates, steps and the comparison of the formats on samples
    assert inferences["int8"] >= 2 * (data.evaluation + data.certification)
