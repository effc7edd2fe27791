from __future__ import annotations

from pathlib import Path

import pytest

from quantize.criterion import Criterion
from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import PRESETS, Preprocessing
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.evaluation import Evaluation, near_chance
from quantize.evaluation.flips import flips
from quantize.evaluation.paired import compare
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.summary import summarize
from quantize.evaluation.verdict import judge
from quantize.models.artifact import ModelArtifact

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def photographs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Crops, Preprocessing]:
    caffe = PRESETS["caffe"].for_input_size(224, 224)
    images = open_images(shared / "imagenet" / "val", shared / "imagenet" / "val.txt", classes=1000)
    return crop_images(images, caffe, tmp_path_factory.mktemp("crops")), caffe


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def fp32(squeezenet: Path, photographs: tuple[Crops, Preprocessing], work: Path) -> Evaluation:
    return evaluate(ModelArtifact.load(squeezenet), Batches(*photographs, 50), threads=2, store=work / "fp32.scores")


def test_squeezenet_has_its_known_accuracy_on_the_500_photographs(fp32: Evaluation) -> None:
    assert fp32.n == 500
    assert fp32.top_k(1).expected == pytest.approx(0.672)
    assert fp32.top_k(5).expected == pytest.approx(0.858)
    assert fp32.tied_count == 0
    assert not near_chance(fp32)
    summary = summarize(fp32)
    assert summary.top1 is not None
    assert summary.top1.expected_interval.low == pytest.approx(0.6297, abs=5e-5)


def test_the_wrong_preset_is_near_chance(squeezenet: Path, shared: Path, tmp_path: Path) -> None:
    wrong = PRESETS["imagenet"].for_input_size(224, 224)
    images = open_images(shared / "imagenet" / "val", shared / "imagenet" / "val.txt", classes=1000)
    crops = crop_images(images.subset(range(0, 500, 5)), wrong, tmp_path)
    evaluation = evaluate(ModelArtifact.load(squeezenet), Batches(crops, wrong, 50), threads=2)
    assert evaluation.top_k(1).expected <= 0.02
    assert near_chance(evaluation)


def test_one_batch_size_or_another_gives_the_same_answers(
    squeezenet: Path, photographs: tuple[Crops, Preprocessing], fp32: Evaluation, work: Path
) -> None:
    crops, caffe = photographs
    part = range(0, 500, 10)
    candidate = evaluate(
        ModelArtifact.load(squeezenet),
        Batches(crops.subset(part), caffe, 1),
        threads=2,
        baseline=ScoreStore.open(work / "fp32.scores"),
    )
    comparison = compare(fp32.take(part), candidate)
    assert (comparison.lost, comparison.gained) == (0, 0)
    assert candidate.fidelity is not None
    assert candidate.fidelity.kind == "softmax"
    assert candidate.fidelity.agreement == 1.0
    assert candidate.fidelity.mean_kl < 1e-6
    assert flips(fp32.take(part), candidate) == ()
    assert judge(comparison, Criterion("top1", baseline=1.0, relative=0.01)).at_95.outcome == "inconclusive"
