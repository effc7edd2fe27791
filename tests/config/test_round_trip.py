"""What is resolved and written loads again to an equal value."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from quantize.config import RunConfig, load_config
from quantize.config.document import dump
from quantize.config.schema import known_paths
from quantize.config.yaml_file import read_document
from quantize.errors import ConfigError

_ROOT = Path(__file__).resolve().parents[2]
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
_PATH = _TEXT.filter(lambda text: not text.startswith("~"))
_FRACTION = st.floats(0.0, 1.0, exclude_max=True)
_TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.lists(st.sampled_from(["int8", "uint8", "fp32"]), max_size=3),
        "algorithm": st.lists(st.sampled_from(["minmax", "kl"]), max_size=2),
        "scheme": st.lists(st.sampled_from(["sym", "asym"]), max_size=2),
    },
)
_OPS = st.dictionaries(_TEXT, st.fixed_dictionaries({"weight": _TENSOR, "activation": _TENSOR}), max_size=3)
_CRITERION = st.one_of(
    st.fixed_dictionaries({"relative": _FRACTION}),
    st.fixed_dictionaries({"absolute": _FRACTION, "confidence": st.floats(0.5, 1.0, exclude_max=True)}),
    st.fixed_dictionaries({"agreement": _FRACTION}),
)
_POSITIVE = st.floats(1e-12, 1e12)
_CONFIGS = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries({"framework": st.sampled_from(["onnxrt_qlinearops", "onnxrt_qdq"])}),
        "tuning": st.fixed_dictionaries(
            {"accuracy_criterion": _CRITERION, "random_seed": st.integers(0, 2**32 - 1)},
            optional={"certification": _FRACTION},
        ),
        "quantization": st.fixed_dictionaries({"op_wise": _OPS, "reduce_range": st.booleans()}),
        "rewrites": st.one_of(st.sampled_from(["none", "default", "all"]), st.just("stem,concat")),
        "notes": st.lists(_TEXT, max_size=2),
    },
    optional={
        "data": st.fixed_dictionaries({"path": _PATH, "labels": _PATH}),
        "preprocessing": st.fixed_dictionaries(
            {"mean": st.tuples(*[st.floats(-1e6, 1e6)] * 3), "std": st.tuples(*[_POSITIVE] * 3), "scale": _POSITIVE}
        ),
    },
)


@settings(deadline=None, max_examples=150)
@given(values=_CONFIGS)
def test_a_resolved_file_loads_again_to_an_equal_value(
    values: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = RunConfig.model_validate(values)
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(path, {}) == config


@settings(deadline=None, max_examples=300)
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(ConfigError):
        assert load_config(path, {}).version == "1.0"


def test_notes_are_kept_and_not_made_twice(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text("device: gpu\n")
    first = load_config(path, {})
    again = tmp_path / "config.yaml"
    again.write_text(first.to_yaml(), encoding="utf-8")
    assert load_config(again, {}) == first
    assert len(first.notes) == 1


def test_the_example_file_writes_the_defaults_out() -> None:
    config = load_config(_ROOT / "configs" / "squeezenet.yaml", {})
    model = config.model.model_copy(update={"name": None})
    preprocessing = config.preprocessing.model_copy(update={"preset": None})
    assert config.model_copy(update={"model": model, "preprocessing": preprocessing}) == RunConfig()
    assert (config.model.name, config.preprocessing.preset, config.notes) == ("squeezenet", "caffe", ())


def test_every_key_of_the_example_file_has_a_comment() -> None:
    lines = (_ROOT / "configs" / "squeezenet.yaml").read_text(encoding="utf-8").splitlines()
    document = read_document(_ROOT / "configs" / "squeezenet.yaml")
    for path, where in document.keys.items():
        line = int(where.split(":")[-2])
        leaf = not isinstance(document.get(path), dict)
        assert not leaf or "#" in lines[line - 1], path


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().tuning.random_seed = 3  # type: ignore[misc]


def test_infinity_is_no_setting() -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"preprocessing": {"scale": math.inf}})


_ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
_NAMES = sorted({str(path[-1]) for path in known_paths()} | {"dataloader", "dataset", "transform", "recipes", "Resize"})
_NEARLY = st.recursive(
    _ANY, lambda inner: st.dictionaries(st.sampled_from(_NAMES), inner, min_size=1, max_size=4), max_leaves=20
)


@settings(deadline=None, max_examples=200)
@given(values=st.dictionaries(st.sampled_from(_NAMES), _NEARLY, min_size=1, max_size=3))
def test_any_values_under_any_known_key_are_read_or_refused(
    values: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "nearly.yaml"
    path.write_text(dump(values), encoding="utf-8")
    with contextlib.suppress(ConfigError):
        assert load_config(path, {}).version == "1.0"


@settings(deadline=None, max_examples=200)
@given(path=st.sampled_from(sorted(map(str, (".".join(map(str, p)) for p in known_paths())))), value=_ANY)
def test_any_value_of_any_setting_is_read_or_refused(
    path: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values: object = value
    for part in reversed(path.split(".")):
        values = {part: values}
    file = tmp_path_factory.getbasetemp() / "one.yaml"
    file.write_text(dump(values), encoding="utf-8")  # type: ignore[arg-type]
    with contextlib.suppress(ConfigError):
        config = load_config(file, {})
        file.write_text(config.to_yaml(), encoding="utf-8")
        assert load_config(file, {}) == config
