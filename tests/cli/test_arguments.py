from __future__ import annotations

import pytest

from quantize.cli.arguments import Syntax, normalized
from quantize.errors import ConfigError

_TUNE = Syntax(
    "quantize tune",
    valued=frozenset({"--input_model", "--relative", "--mean"}),
    switches=frozenset({"--in_evaluation"}),
    bare=frozenset({"--overwrite", "--help"}),
)
_FETCH = Syntax("quantize fetch", valued=frozenset({"--output"}), bare=frozenset({"--help"}), arguments=("NAME",))
_PREDICT = Syntax("quantize predict", arguments=("MODEL", "IMAGE"), repeats=True)
_ALL = Syntax("quantize", bare=frozenset({"--help"}), commands={"tune": _TUNE, "fetch": _FETCH, "predict": _PREDICT})


@pytest.mark.parametrize(
    "words",
    [
        ["tune", "--input_model=a.onnx"],
        ["tune", "--input-model=a.onnx"],
        ["tune", "--input_model", "a.onnx"],
        ["tune", "--input-model", "a.onnx"],
    ],
)
def test_equals_and_space_underscores_and_dashes_are_the_same(words: list[str]) -> None:
    assert normalized(words, _ALL) == ["tune", "--input_model=a.onnx"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--in_evaluation"], ["--in_evaluation=true"]),
        (["--in-evaluation", "no"], ["--in_evaluation=false"]),
        (["--in_evaluation=ON"], ["--in_evaluation=true"]),
        (["--no-in-evaluation"], ["--in_evaluation=false"]),
        (["--in_evaluation", "--overwrite"], ["--in_evaluation=true", "--overwrite"]),
        (["--overwrite"], ["--overwrite"]),
        (["--overwrite=true"], ["--overwrite"]),
        (["--overwrite=false"], []),
        (["--mean", "-1,2,3"], ["--mean=-1,2,3"]),
        (["--input_model=a=b"], ["--input_model=a=b"]),
        (["--input_model", "-"], ["--input_model=-"]),
        (["--relative", "1", "--relative", "2"], ["--relative=1", "--relative=2"]),
        (["-h"], ["--help"]),
    ],
)
def test_flags_come_out_in_one_form(words: list[str], expected: list[str]) -> None:
    assert normalized(["tune", *words], _ALL) == ["tune", *expected]


def test_values_keep_their_dashes_and_underscores() -> None:
    assert normalized(["tune", "--input-model=my-net_1.onnx"], _ALL) == ["tune", "--input_model=my-net_1.onnx"]


def test_plain_arguments_stand_before_or_after_flags() -> None:
    expected = ["fetch", "--output=x", "--", "squeezenet1.0-12"]
    assert normalized(["fetch", "squeezenet1.0-12", "--output", "x"], _ALL) == expected
    assert normalized(["fetch", "--output", "x", "squeezenet1.0-12"], _ALL) == expected


def test_what_follows_two_dashes_is_no_flag() -> None:
    assert normalized(["predict", "a.onnx", "--", "--strange--name.jpg"], _ALL) == [
        "predict",
        "--",
        "a.onnx",
        "--strange--name.jpg",
    ]


def test_the_last_argument_repeats_where_it_may() -> None:
    assert normalized(["predict", "a.onnx", "1.jpg", "2.jpg"], _ALL)[-2:] == ["1.jpg", "2.jpg"]


def test_help_is_given_whatever_else_stands_there() -> None:
    assert normalized(["fetch", "a", "b", "--help"], _ALL)[:2] == ["fetch", "--help"]


def test_a_flag_that_belongs_to_a_command_is_pointed_there() -> None:
    with pytest.raises(ConfigError) as caught:
        normalized(["--relative=1"], _ALL)
    assert caught.value.advice == "did you mean `quantize tune --relative`?"
