"""How to translate the ``dataloader`` blocks of Neural Compressor 1.x."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.config import RunConfig, load_config

_TRANSFORM = "transform: {Resize: {size: 224}}"


def _loaded(tmp_path: Path, loader: str, rest: str = "") -> RunConfig:
    path = tmp_path / "run.yaml"
    path.write_text(f"evaluation:\n  accuracy:\n    dataloader: {{{loader}}}\n{rest}", encoding="utf-8")
    return load_config(path, {})


@pytest.mark.parametrize(
    ("dataset", "folder", "labels"),
    [
        ("ImagenetRaw: {data_path: images, image_list: list.txt}", "images", "list.txt"),
        ("ImagenetRaw: {data_path: images}", "images", "images/val.txt"),
        ("Imagenet: {data_path: images, image_list: list.txt}", "images", "list.txt"),
        ("Imagenet: {root: images}", "images/val", None),
        ("ImageFolder: {root: images}", "images", None),
    ],
)
def test_labelled_image_files_become_data(tmp_path: Path, dataset: str, folder: str, labels: str | None) -> None:
    data = _loaded(tmp_path, f"dataset: {{{dataset}}}").data
    assert data.path == Path(folder)
    assert data.labels == (None if labels is None else Path(labels))


@pytest.mark.parametrize("dataset", ["dummy: {shape: [1, 3, 224, 224]}", "TFRecordDataset: {root: r}", "MNIST: {}"])
def test_other_datasets_are_noted(tmp_path: Path, dataset: str) -> None:
    config = _loaded(tmp_path, f"dataset: {{{dataset}}}")
    assert config.data.path is None
    assert "has no labelled image files" in config.notes[0]


def test_what_the_file_says_in_data_itself_holds(tmp_path: Path) -> None:
    config = _loaded(tmp_path, "dataset: {ImageFolder: {root: theirs}}", "data: {path: ours}\n")
    assert config.data.path == Path("ours")
    assert "not used: theirs, because data.path is ours" in config.notes[0]


def test_what_the_file_says_in_preprocessing_itself_holds(tmp_path: Path) -> None:
    config = _loaded(tmp_path, _TRANSFORM, "preprocessing: {preset: caffe}\n")
    assert config.preprocessing.given() == {"preset": "caffe"}
    assert "because `preprocessing` is set" in config.notes[0]


def test_a_transform_without_a_like_leaves_preprocessing_open(tmp_path: Path) -> None:
    config = _loaded(tmp_path, "transform: {BilinearImagenet: {height: 224, width: 224}}")
    assert config.preprocessing.given() == {}
    assert "no like of it (BilinearImagenet)" in config.notes[0]


def test_a_flag_wins_over_a_dataloader(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("evaluation: {accuracy: {dataloader: {dataset: {ImageFolder: {root: theirs}}}}}", encoding="utf-8")
    assert load_config(path, {"data.path": "ours"}).data.path == Path("ours")
