from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from quantize.commands.check import default_tolerances
from quantize.errors import ConfigError
from quantize.gate.figures import FIGURES
from quantize.gate.tolerances import changeable, read_tolerances

_CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_documented_defaults_are_those_that_hold() -> None:
    packaged = resources.files("quantize.gate").joinpath("default_tolerances.yaml").read_text("utf-8")
    assert packaged == (_CONFIGS / "tolerances.yaml").read_text("utf-8")
    assert read_tolerances(_CONFIGS / "tolerances.yaml") == default_tolerances()


def test_the_defaults_look_at_every_figure() -> None:
    tolerances = default_tolerances()
    assert {*tolerances.against_fp32, *tolerances.against_baseline} >= set(FIGURES)


def test_the_zoos_figures_are_a_set_of_limits_without_a_baseline() -> None:
    zoo = read_tolerances(_CONFIGS / "tolerances-zoo.yaml")
    assert zoo.against_baseline == {}
    assert zoo.against_fp32["top1_drop"].relative == 0.0065
    assert zoo.against_fp32["top5_drop"].relative == 0.0014
    assert zoo.against_fp32["speedup"].at_least == 1.31


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("against_fp32: {agrement: {at_least: 0.9}}", "did you mean agreement?"),
        ("against_fp32: {agreement: {}}", "exactly one of"),
        ("against_fp32: {agreement: {at_least: 0.9, at_most: 1}}", "exactly one of"),
        ("against_fp32: {agreement: {atleast: 0.9}}", "unknown key"),
        ("against_fp32: {agreement: {points: 0.9}}", "takes at_least or at_most"),
        ("against_fp32: {top1_drop: {at_most: 0.9}}", "a drop takes relative or points"),
        ("against_fp32: {kl: {at_most: 0.1, confidence: 0.95}}", "leave confidence out"),
        ("against_fp32: {kl: {at_most: much}}", "wrong type"),
        ("against_fp32: {top1_drop: {relative: 0.01, confidence: 0.3}}", "out of range"),
        ("against_baseline: {top1: {relative: 0.1, points: 0.1}}", "exactly one of"),
        ("against_baseline: {size: {relative: -0.1}}", "out of range"),
        ("against_baseline: {size: {relative: 0.1, confidence: 0.95}}", "for top1 and top5 only"),
        ("against_fp32: {size: {relative: 0.5, classes: [vnnni]}}", "invalid value"),
        ("against_fp32: {size: {relative: 0.5, classes: []}}", "wrong number of values"),
        ("criterion: perhaps", "invalid value"),
        ("against_fp33: {}", "unknown key"),
        ("identity: {files: maybe}", "invalid value"),
        ("version: 2", "invalid value"),
        ("", "empty"),
    ],
)
def test_a_wrong_tolerance_is_named_with_its_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "tolerances.yaml"
    path.write_text(f"# a comment\n{text}\n")
    with pytest.raises(ConfigError) as raised:
        read_tolerances(path)
    assert reason in str(raised.value)
    assert "tolerances.yaml" in str(raised.value)


def test_every_figure_can_be_compared_with_a_baseline(tmp_path: Path) -> None:
    path = tmp_path / "tolerances.yaml"
    path.write_text("against_baseline:\n" + "".join(f"  {name}: {{relative: 0.1}}\n" for name in changeable()))
    assert set(read_tolerances(path).against_baseline) == set(changeable())
