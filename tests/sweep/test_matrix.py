from __future__ import annotations

from pathlib import Path

import pytest

from quantize.errors import ConfigError
from quantize.sweep.config import SweepConfig
from quantize.sweep.matrix import entries_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.yaml").write_text("tuning: {engine: ort}\n")
    (tmp_path / "own.yaml").write_text("tuning: {engine: native}\ndata: {path: elsewhere}\n")
    return tmp_path


def _config(**values: object) -> SweepConfig:
    return SweepConfig.model_validate({"models": ["a.onnx"], "data": {"path": "val", "labels": "val.txt"}, **values})


def test_every_model_is_tuned_with_every_file_engine_and_target(here: Path) -> None:
    entries = entries_of(
        _config(
            models=["a.onnx", {"path": "b.onnx", "name": "second one", "config": "own.yaml"}],
            configs=["quick.yaml", "own.yaml"],
            engines=["inc", "native"],
            targets=["avx2"],
        )
    )
    assert [entry.name for entry in entries] == [
        *("a-quick-inc", "a-quick-native", "a-own-inc", "a-own-native"),
        *("second_one-inc", "second_one-native"),
    ]
    assert {entry.config.quantization.target for entry in entries} == {"avx2"}
    assert [entry.config.tuning.engine for entry in entries[:2]] == ["inc", "native"]
    assert entries[0].folder == here / "runs" / "sweep" / "a-quick-inc"
    assert entries[4].model == here / "b.onnx"


def test_a_settings_file_that_names_its_images_takes_those_without_the_labels_of_others(here: Path) -> None:
    quick, own = entries_of(_config(configs=["quick.yaml", "own.yaml"]))
    assert (quick.config.data.path, quick.config.data.labels) == (here / "val", here / "val.txt")
    assert (own.config.data.path, own.config.data.labels) == (here / "elsewhere", None)
    assert quick.config.tuning.engine == "ort"


def test_runs_of_the_same_name_and_runs_without_images_are_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match="same name") as error:
        entries_of(_config(models=["a.onnx", "elsewhere/A.onnx"]))
    assert error.value.found == "a"
    with pytest.raises(ConfigError, match="no images are named"):
        entries_of(_config(data={}))


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "..", "a\nb", "."])
def test_no_name_leads_out_of_the_sweeps_folder(name: str, here: Path) -> None:
    (entry,) = entries_of(_config(models=[{"path": "a.onnx", "name": name}]))
    assert entry.folder.parent == here / "runs" / "sweep"
    assert entry.folder.name not in (".", "..", "")
