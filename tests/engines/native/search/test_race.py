from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from quantize.criterion import Criterion
from quantize.data.batches import Batch
from quantize.engines.image_budget import ImageBudget
from quantize.engines.native.search.race import RaceJudge, accept
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.journal import Journal
from quantize.models.artifact import save_model


@pytest.fixture(scope="module")
def race(model, fp32_scores, tmp_path_factory):
    """The fp32 model evaluated on 400 images, most of them right, and a maker of judges."""
    rng = np.random.default_rng(5)
    images = (rng.normal(0, 1, (400, 3, 16, 16)) + rng.normal(0, 1, (400, 3, 1, 1))).astype(np.float32)
    folder = tmp_path_factory.mktemp("race")
    first = [Batch(tuple(map(str, range(400))), images, np.zeros(400, np.int64))]
    evaluate(model, first, store=folder / "scores.bin")
    labels = ScoreStore.open(folder / "scores.bin").scores.argmax(axis=1).astype(np.int64)
    labels[::5] = (labels[::5] + 1) % 10
    batches = [Batch(tuple(map(str, range(400))), images, labels)]
    baseline = evaluate(model, batches, store=folder / "labelled.bin")
    looked_at = []

    scores = ScoreStore.open(folder / "labelled.bin")

    def evaluate_some(candidate, positions):
        looked_at.append(len(positions))
        batch = Batch(tuple(str(at) for at in positions), images[positions], labels[positions])
        return evaluate(candidate, [batch], baseline=scores)

    def judge(criterion, budget=None):
        looked_at.clear()
        return RaceJudge(criterion, baseline, evaluate_some, first_block=50, budget=budget)

    return judge, looked_at, float(baseline.top_k(1).expected) / 400 if baseline.top_k(1).expected > 1 else 0.8


def broken(model, path):
    proto = model.proto()
    for tensor in proto.graph.initializer:
        if tensor.name == "w3":
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[::-1]), "w3"))
    return save_model(proto, path)


def test_the_model_itself_passes_for_certain_on_all_images_or_before(race, model):
    judge, looked_at, accuracy = race
    judgement = judge(Criterion("top1", baseline=accuracy, relative=0.01))(model)
    assert judgement.met
    assert judgement.images == sum(looked_at)
    assert judgement.total == 400


def test_a_broken_candidate_is_rejected_after_the_first_images(race, model, tmp_path):
    judge, _, accuracy = race
    judgement = judge(Criterion("top1", baseline=accuracy, relative=0.01))(broken(model, tmp_path / "broken.onnx"))
    assert not judgement.met
    assert judgement.images < 400
    assert not judgement.complete


def test_agreement_is_raced_without_looking_at_labels(race, model, tmp_path):
    judge, _, _ = race
    criterion = Criterion("agreement", minimum=0.95)
    assert judge(criterion)(model).met
    assert judge(criterion)(model).metric == 1.0
    assert not judge(criterion)(broken(model, tmp_path / "broken.onnx")).met


def test_where_nothing_is_measured_every_candidate_is_accepted_without_a_race(race, model):
    judge, looked_at, _ = race
    accepted = accept(model)
    assert (accepted.met, accepted.metric, accepted.images) == (True, None, 0)
    with pytest.raises(ValueError, match="measures something"):
        judge(Criterion("none"))
    assert looked_at == []


def test_with_a_budget_a_candidate_is_judged_by_its_drop_on_the_images_it_may_take(race, model, tmp_path):
    judge, looked_at, accuracy = race
    budget = ImageBudget(Journal(tmp_path / "trials.jsonl", {}, resume=False), 600)
    judgement = judge(Criterion("top1", baseline=accuracy, relative=0.01), budget)(model)
    assert judgement.met
    assert judgement.images == sum(looked_at) == 256  # a third of 600 is less than every candidate may take
    assert judgement.metric == pytest.approx(accuracy)  # the model loses nothing, whatever the images
    assert budget.allowed("another") == 256


def test_with_a_budget_a_broken_candidate_is_rejected_as_early_as_without(race, model, tmp_path):
    judge, _, accuracy = race
    budget = ImageBudget(Journal(tmp_path / "trials.jsonl", {}, resume=False), 600)
    lost, criterion = broken(model, tmp_path / "broken.onnx"), Criterion("top1", baseline=accuracy, relative=0.01)
    assert judge(criterion, budget)(lost).images == judge(criterion)(lost).images
    assert not judge(criterion, budget)(lost).met
