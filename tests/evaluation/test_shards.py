from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.data.batches import Batches
from quantize.data.crops.crops import Crops, Skipped
from quantize.data.preprocessing import Preprocessing, choose_preprocessing
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.evaluation.shards import Shard, evaluate_shard, merged, parts_of, write_scores
from quantize.models.artifact import ModelArtifact, save_model

_CLASSES, _SIDE, _BATCH = 5, 8, 4


def _model(folder: Path, name: str, *, noise: float = 0.0, constant: bool = False) -> ModelArtifact:
    weights = np.random.default_rng(0).normal(size=(3 * _SIDE * _SIDE, _CLASSES)).astype(np.float32) * 0.01
    weights += noise * np.random.default_rng(1).normal(size=weights.shape).astype(np.float32)
    if constant:
        weights[:] = 0
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        ],
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, _SIDE, _SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", _CLASSES])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return save_model(model, folder / f"{name}.onnx")


@pytest.fixture
def preprocessing() -> Preprocessing:
    return choose_preprocessing({"preset": "imagenet"}).for_input_size(_SIDE, _SIDE)


@pytest.fixture
def crops(preprocessing: Preprocessing) -> Crops:
    generator = np.random.default_rng(2)
    pixels = generator.integers(0, 256, (30, _SIDE, _SIDE, 3), dtype=np.uint8)
    labels = generator.integers(0, _CLASSES, 30).tolist()
    return Crops.from_array([f"{number:02}.png" for number in range(30)], pixels, labels, preprocessing)


def _shards(
    model: ModelArtifact, crops: Crops, preprocessing: Preprocessing, images: int, baseline: ScoreStore | None = None
) -> list[Shard]:
    return [
        evaluate_shard(
            model, Batches(part, preprocessing, _BATCH), baseline=baseline, exact=False, keeps_scores=baseline is None
        )
        for part in parts_of(crops, images, _BATCH)
    ]


@pytest.mark.parametrize("images", [1, 4, 9, 12, 29, 30, 1000])
def test_shards_of_any_size_give_the_evaluation_and_the_scores_of_one_pass_byte_for_byte(
    images: int, crops: Crops, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    fp32, int8 = _model(tmp_path, "fp32"), _model(tmp_path, "int8", noise=0.01)
    skipped = (Skipped("lost.png", "cut short"),)
    whole = evaluate(fp32, Batches(crops, preprocessing, _BATCH), store=tmp_path / "whole", skipped=skipped, threads=2)
    shards = _shards(fp32, crops, preprocessing, images)
    write_scores(tmp_path / "shared", fp32, shards)
    assert pickle.dumps(merged(shards, skipped)) == pickle.dumps(whole)
    assert (tmp_path / "shared").read_bytes() == (tmp_path / "whole").read_bytes()
    assert (tmp_path / "shared.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    store = ScoreStore.open(tmp_path / "whole")
    candidate = evaluate(int8, Batches(crops, preprocessing, _BATCH), baseline=store)
    assert candidate.fidelity is not None
    shared = merged(_shards(int8, crops, preprocessing, images, store), ())
    assert pickle.dumps(shared) == pickle.dumps(candidate)


def test_a_part_has_whole_batches(crops: Crops) -> None:
    assert [len(part) for part in parts_of(crops, 10, _BATCH)] == [8, 8, 8, 6]
    assert [len(part) for part in parts_of(crops, 1, _BATCH)] == [4] * 7 + [2]


def test_a_model_is_constant_where_all_parts_are_and_alike(
    crops: Crops, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    same = _shards(_model(tmp_path, "constant", constant=True), crops, preprocessing, 4)
    assert merged(same, ()).constant_output
    other = replace(same[1], first=same[1].first + 1)
    assert not merged([same[0], other, *same[2:]], ()).constant_output
    assert not merged(_shards(_model(tmp_path, "fp32"), crops, preprocessing, 4), ()).constant_output


def test_parts_of_different_models_or_of_the_same_images_are_refused(
    crops: Crops, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    first = _shards(_model(tmp_path, "fp32"), crops, preprocessing, 16)
    second = _shards(_model(tmp_path, "int8", noise=0.01), crops, preprocessing, 16)
    with pytest.raises(ValueError, match="different models"):
        merged([first[0], second[1]], ())
    with pytest.raises(ValueError, match="twice"):
        merged([first[0], first[0]], ())
    with pytest.raises(ValueError, match="none"):
        merged([], ())
