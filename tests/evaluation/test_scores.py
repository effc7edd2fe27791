from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantize.errors import DataError, RunError
from quantize.evaluation.scores import ScoreStore, writing


def _write(path: Path, scores: NDArray[Any], size: int = 2, graph: str = "a" * 64) -> None:
    ids = [f"image-{i}" for i in range(len(scores))]
    with writing(path, graph, "logits") as writer:
        for start in range(0, len(ids), size):
            writer.append(ids[start : start + size], scores[start : start + size])


@pytest.fixture
def logits() -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_scores_come_back_by_id_whatever_the_batch_size(tmp_path: Path, logits: NDArray[Any], size: int) -> None:
    _write(tmp_path / "fp32.scores", logits, size)
    store = ScoreStore.open(tmp_path / "fp32.scores")
    assert (len(store), store.classes, store.kind, store.graph_sha256) == (5, 3, "logits", "a" * 64)
    np.testing.assert_array_equal(store.of(["image-3", "image-0"]), logits[[3, 0]])


def test_rows_that_sum_to_one_are_stored_as_probabilities(tmp_path: Path) -> None:
    _write(tmp_path / "fp32.scores", np.array([[0.25, 0.75], [1, 0]], np.float32), 1)
    assert ScoreStore.open(tmp_path / "fp32.scores").kind == "softmax"


def test_one_row_that_is_no_distribution_makes_them_logits(tmp_path: Path) -> None:
    _write(tmp_path / "fp32.scores", np.array([[0.25, 0.75], [2, 0]], np.float32), 1)
    assert ScoreStore.open(tmp_path / "fp32.scores").kind == "logits"


def test_an_image_without_fp32_scores_is_named(tmp_path: Path, logits: NDArray[Any]) -> None:
    _write(tmp_path / "fp32.scores", logits)
    with pytest.raises(DataError, match="image-9"):
        ScoreStore.open(tmp_path / "fp32.scores").of(["image-1", "image-9"])


def test_a_failed_evaluation_leaves_no_store(tmp_path: Path, logits: NDArray[Any]) -> None:
    def fail() -> None:
        with writing(tmp_path / "fp32.scores", "a", "logits") as writer:
            writer.append(["image-0"], logits[:1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="no stored scores"):
        ScoreStore.open(tmp_path / "fp32.scores")


def test_an_array_that_does_not_fit_its_ids_is_refused(tmp_path: Path, logits: NDArray[Any]) -> None:
    _write(tmp_path / "fp32.scores", logits)
    with (tmp_path / "fp32.scores").open("ab") as stream:
        stream.write(b"\0" * 4)
    with pytest.raises(RunError, match="do not fit"):
        ScoreStore.open(tmp_path / "fp32.scores")


def test_a_store_of_another_version_is_refused(tmp_path: Path, logits: NDArray[Any]) -> None:
    _write(tmp_path / "fp32.scores", logits)
    about = tmp_path / "fp32.scores.json"
    about.write_text(about.read_text("utf-8").replace('"version": 1', '"version": 0'), "utf-8")
    with pytest.raises(RunError, match="another version"):
        ScoreStore.open(tmp_path / "fp32.scores")


def test_a_second_evaluation_replaces_the_store_as_a_whole(tmp_path: Path, logits: NDArray[Any]) -> None:
    _write(tmp_path / "fp32.scores", logits)
    _write(tmp_path / "fp32.scores", logits[:3], graph="b" * 64)
    store = ScoreStore.open(tmp_path / "fp32.scores")
    assert (len(store), store.graph_sha256) == (3, "b" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fp32.scores", "fp32.scores.json"]
