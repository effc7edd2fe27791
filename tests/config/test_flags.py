from __future__ import annotations

from pathlib import Path

import pytest

from quantize.config import RunConfig, load_config
from quantize.config.schema import settings
from quantize.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(
        "tuning:\n  accuracy_criterion:\n    relative: 0.02\n  random_seed: 3\n"
        "preprocessing:\n  preset: caffe\n  mean: [1, 2, 3]\n"
        "evaluation:\n  performance:\n    configs:\n      cores_per_instance: 4\n      num_of_instance: 7\n"
    )
    return path


def _refused(path: Path | None, overrides: dict[str, object], cores: int = 2) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, cores=cores)
    return str(caught.value)


def test_every_flag_is_named_once_and_says_what_it_is() -> None:
    flags = [setting.flag for setting in settings()]
    assert len(flags) == len(set(flags))
    assert all(setting.description and setting.expected.text for setting in settings())


def test_every_key_has_a_flag_of_the_same_last_name_but_for_the_ones_with_a_name_of_their_own() -> None:
    other = {s.key: s.flag for s in settings() if s.key.rsplit(".", 1)[-1] != s.flag}
    assert other == {
        "data.path": "data_path",
        "data.labels": "label_path",
        "tuning.strategy.name": "strategy",
    }


def test_flags_win_over_the_file(file: Path) -> None:
    config = load_config(file, {"tuning.random_seed": "5", "tuning.exit_policy.timeout": None}, cores=28)
    assert config.tuning.random_seed == 5
    assert config.tuning.accuracy_criterion.relative == 0.02


def test_an_absolute_loss_from_a_flag_replaces_the_relative_one_of_the_file(file: Path) -> None:
    config = load_config(file, {"tuning.accuracy_criterion.absolute": "1%"}, cores=28)
    assert config.tuning.accuracy_criterion.relative is None
    assert config.tuning.accuracy_criterion.absolute == 0.01
    assert [note for note in config.notes if "replaced by --absolute" in note]


def test_two_losses_from_flags_exclude_each_other(file: Path) -> None:
    message = _refused(
        file, {"tuning.accuracy_criterion.absolute": "0.01", "tuning.accuracy_criterion.relative": "0.01"}, 28
    )
    assert message.startswith("--relative, --absolute: mutually exclusive")


def test_a_preset_from_a_flag_sets_the_parts_of_the_file_aside(file: Path) -> None:
    config = load_config(file, {"preprocessing.preset": "imagenet", "preprocessing.scale": "1/255"}, cores=28)
    assert config.preprocessing.given() == {"preset": "imagenet", "scale": 1 / 255}
    assert [note for note in config.notes if "preprocessing.mean: overridden by --preset" in note]


def test_a_wrong_flag_is_named_with_what_it_takes() -> None:
    assert _refused(None, {"tuning.accuracy_criterion.relative": "2"}).splitlines() == [
        "--relative: out of range",
        "  found:    the text '2'",
        "  expected: a fraction from 0 to below 1, such as 0.01, or a percentage, such as 1%",
    ]
    assert _refused(None, {"preprocessing.resize_mode": "shortest"}).splitlines() == [
        "--resize_mode: invalid value",
        "  found:    the text 'shortest'",
        "  expected: one of square, shorter",
        "  to do:    did you mean `shorter`?",
    ]


def test_wrong_flags_and_a_wrong_file_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("tuning:\n  engin: inc\n")
    message = _refused(path, {"tuning.random_seed": "-1", "tuning.engine": "ours"})
    assert message.startswith("3 settings are wrong:")
    assert f"{path}:2:3: tuning.engin: unknown key" in message
    assert "--random_seed: out of range" in message
    assert "--engine: invalid value" in message


def test_a_triple_is_written_with_commas_or_as_one_number() -> None:
    config = load_config(None, {"preprocessing.mean": "123.68,116.779,103.939", "preprocessing.std": "58"})
    assert config.preprocessing.mean == (123.68, 116.779, 103.939)
    assert config.preprocessing.std == (58.0, 58.0, 58.0)


def test_rewrites_are_separated_by_commas() -> None:
    assert load_config(None, {"rewrites": "stem,concat"}).rewrites == ("stem", "concat")
    assert "none, default and all stand alone" in _refused(None, {"rewrites": "all,stem"})


def test_a_block_is_written_as_yaml() -> None:
    config = load_config(None, {"quantization.op_wise": "{conv1: {weight: {dtype: [fp32]}}}"})
    assert config.quantization.op_wise["conv1"].lists() == {"weight": {"dtype": ["fp32"]}}
    assert _refused(None, {"quantization.op_wise": "{conv1: ["}).startswith("--op_wise: not YAML")


def test_an_alias_of_neural_compressor_works_as_a_flag() -> None:
    assert load_config(None, {"model.framework": "onnxrt_qdqops"}).model.framework == "onnxrt_qdq"


def test_a_home_folder_is_found() -> None:
    assert load_config(None, {"data.path": "~/val"}).data.path == Path.home() / "val"


def test_an_unknown_key_from_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        load_config(None, {"tuning.engin": "inc"})


_CORES = "evaluation.performance.configs.cores_per_instance"
_INSTANCES = "evaluation.performance.configs.num_of_instance"


@pytest.mark.parametrize(
    ("overrides", "cores", "expected"),
    [
        ({}, 28, (4, 7)),
        ({}, 27, (4, 6)),
        ({}, 2, (2, 1)),
        ({_CORES: "1"}, 2, (1, 2)),
        ({_INSTANCES: "2"}, 2, (1, 2)),
        ({_INSTANCES: "1"}, 2, (2, 1)),
        ({_CORES: "2", _INSTANCES: "1"}, 2, (2, 1)),
    ],
)
def test_what_the_file_asks_for_is_cut_down_to_the_machine(
    file: Path, overrides: dict[str, object], cores: int, expected: tuple[int, int]
) -> None:
    configs = load_config(file, overrides, cores=cores).evaluation.performance.configs
    assert (configs.cores_per_instance, configs.num_of_instance) == expected


@pytest.mark.parametrize(
    ("overrides", "flags", "found"),
    [
        ({_CORES: "4"}, "--cores_per_instance:", "4 cores"),
        ({_INSTANCES: "3"}, "--num_of_instance:", "3 cores"),
        ({_CORES: "2", _INSTANCES: "2"}, "--cores_per_instance, --num_of_instance:", "4 cores"),
    ],
)
def test_a_flag_that_asks_for_more_cores_than_there_are_is_an_error(
    file: Path, overrides: dict[str, object], flags: str, found: str
) -> None:
    message = _refused(file, overrides)
    assert message.startswith(f"{flags} more cores than this machine has")
    assert f"found:    {found}" in message
    assert "at most 2 cores" in message


def test_defaults_do_not_need_more_than_one_core() -> None:
    assert load_config(None, {}, cores=1) == RunConfig()
