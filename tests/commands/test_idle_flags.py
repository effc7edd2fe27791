"""Flags that decide nothing; what the commands print of them is in tests/cli/golden."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import quantize
from quantize.cli.command_line import Words
from quantize.cli.main import app
from quantize.commands import idle_flags
from quantize.commands.idle_flags import given_flags, refuse_idle_for_benchmark, refuse_idle_for_tune
from quantize.config import load_config
from quantize.errors import ConfigError


def test_every_flag_that_is_refused_is_one_of_the_command() -> None:
    """A name that is spelt wrongly in a rule would refuse nothing."""
    for function, command in ((refuse_idle_for_benchmark, "benchmark"), (refuse_idle_for_tune, "tune")):
        source = Path(idle_flags.__file__).read_text(encoding="utf-8")
        body = source[source.index(f"def {function.__name__}") :].split("\ndef ")[0]
        names = {name for group in re.findall(r"_[A-Z]+", body) for name in getattr(idle_flags, group)}
        listed = re.findall(r"(?:speed|accuracy|alone|begun) = \((.*)\)|given, \[(.*?)\]", body)
        names |= {name for pair in listed for name in re.findall(r'"(\w+)"', "".join(pair))}
        assert len(names) > 8
        built = typer.main.get_command(app).built(command)
        assert {f"--{name}" for name in names} <= set(Words(built, command).flags)


def test_only_flags_that_were_given_count() -> None:
    given = given_flags({"data.path": "val", "data.labels": None, "tuning.random_seed": "1"}, profile=False, top=3)
    assert given == {"data_path", "random_seed", "top"}


@pytest.mark.parametrize("flag", ["output_model", "overwrite", "criterion", "skip_unreadable"])
def test_a_run_that_goes_on_is_asked_nothing_that_it_was_begun_with(flag: str) -> None:
    with pytest.raises(ConfigError, match="goes on as the run began"):
        refuse_idle_for_tune({flag}, load_config(None, {}), resumes=True, replays=False, judges=True)


def test_a_replay_searches_nothing() -> None:
    with pytest.raises(ConfigError, match="searches none") as caught:
        refuse_idle_for_tune({"max_trials", "engine"}, load_config(None, {}), resumes=False, replays=True, judges=True)
    assert caught.value.where == "--engine, --max_trials"


def test_a_quick_run_takes_less_and_never_more() -> None:
    more = load_config(None, {"tuning.quick": True, "evaluation.performance.iteration": "500"})
    given = {"quick", "iteration", "relative"}
    with pytest.raises(ConfigError, match="--quick takes less than that") as caught:
        refuse_idle_for_tune(given, more, resumes=False, replays=False, judges=True)
    assert caught.value.where == "--iteration"
    less = load_config(None, {"tuning.quick": True, "evaluation.performance.iteration": "20"})
    refuse_idle_for_tune(given, less, resumes=False, replays=False, judges=True)


def test_settings_of_a_file_are_not_refused() -> None:
    config = load_config(None, {"tuning.engine": "native"})
    refuse_idle_for_tune({"engine", "relative"}, config, resumes=False, replays=False, judges=True)


def test_python_refuses_them_too() -> None:
    with pytest.raises(ConfigError, match="measures no speed"):
        quantize.evaluate("model.onnx", data_path="val", iteration=5)
    with pytest.raises(ConfigError, match="only Neural Compressor has strategies"):
        quantize.tune("model.onnx", data_path="val", engine="native", strategy="mse")
