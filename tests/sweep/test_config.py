from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from quantize.cli.main import main
from quantize.errors import ConfigError
from quantize.sweep.config import SweepConfig, read_sweep

_ROOT = Path(__file__).resolve().parents[2]


def _read(folder: Path, text: str, **flags: object) -> SweepConfig:
    (folder / "sweep.yaml").write_text(text)
    return read_sweep(folder / "sweep.yaml", flags)


def test_a_model_is_a_path_or_a_block_and_flags_win(tmp_path: Path) -> None:
    config = _read(
        tmp_path, "models: [a.onnx, {path: b.onnx, name: second}]\nworkers: 4\ndata:\n", workers=2, output=None
    )
    assert [(str(model.path), model.name) for model in config.models] == [("a.onnx", None), ("b.onnx", "second")]
    assert config.workers == config.local_workers == 2
    assert config.output == Path("runs/sweep")


def test_the_example_is_read_and_obeys_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    example = _ROOT / "configs" / "sweep.yaml"
    assert read_sweep(example, {}).models[1].name == "lite0"
    assert main(["schema", "sweep-settings"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(example.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"models": []}, schema)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: []\n", ["sweep.yaml:1:9: models: wrong number of values", "a list of models: paths, or blocks with"]),
        ("workers: 2\n", ["models: missing"]),
        ("models: [a]\nengins: [inc]\n", ["sweep.yaml:2:1: engins: unknown key", "did you mean `engines`?"]),
        ("models: [a]\nengines: [incc]\n", ["sweep.yaml:2:11: engines.0: invalid value", "did you mean `inc`?"]),
        ("models: [{path: a, nam: b}]\n", ["sweep.yaml:1:20: models.0.nam: unknown key", "one of path, name, config"]),
        ("models: [a]\nworkers: 0\n", ["workers: out of range", "found:    0", "a whole number from 1 up"]),
        ("models: [a]\nwait: soon\n", ["wait: wrong type", "found:    the text 'soon'", "such as 30min"]),
        ("models: [a]\ndata: {path: 3}\n", ["sweep.yaml:2:14: data.path: wrong type", "expected: a path"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        _read(tmp_path, text)
    for word in words:
        assert word in str(error.value)


def test_a_flag_that_is_wrong_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--workers: out of range"):
        _read(tmp_path, "models: [a]\n", workers=0)
