"""An unchanged run passes its own check; what is worse than the accepted run does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quantize.commands.check import accept_run, check_run
from quantize.errors import ConfigError, ExitCode
from quantize.gate.result import GateResult

Edit = Callable[[dict[str, Any]], None]


def few_runs(values: dict[str, Any]) -> None:
    """Leave so few runs that there is no p99."""
    for block in values["measurement"]["blocks"]:
        block["runs_ns"] = block["runs_ns"][:3]
        block["preempted"] = []


def misses(values: dict[str, Any]) -> None:
    """Let the run miss its criterion, and the limits of the packaged tolerances, by far."""
    values["verdict"].update(status="not met", text="The int8 models do NOT meet the accuracy criterion.")
    for model in values["models"]:
        selection = model["selection"]
        selection["evaluation"]["fidelity"].update(agreement=0.7, mean_kl=0.3)
        selection["evaluation"]["top1"].update(expected=0.6)
        selection["top1"].update(drop=0.0775, relative_drop=0.114)


def slow(values: dict[str, Any], factor: int = 5) -> None:
    """Let both models take five times as long: slower than fp32."""
    for block in values["measurement"]["blocks"]:
        if block["contestant"] in ("int8", "qdq"):
            block["runs_ns"] = [factor * run for run in block["runs_ns"]]


def accepted(new_run: Any, tmp_path: Path, *edits: Edit) -> tuple[Any, Path]:
    """Return a run and its own baseline."""
    run = new_run("first")
    for edit in edits:
        run.change(edit)
    accept_run(run.folder, tmp_path / "own.json")
    return run, tmp_path / "own.json"


def verdicts(result: GateResult) -> dict[str, str]:
    return {line.name: line.verdict for line in result.lines}


def broken(result: GateResult) -> set[str]:
    return {line.name for line in result.lines if result.failing(line)}


@pytest.mark.parametrize(
    "edits",
    [(), (few_runs,), (misses,), (slow,), (few_runs, misses, slow)],
    ids=lambda edits: "-".join(edit.__name__ for edit in edits) or "whole",
)
def test_an_unchanged_run_passes_whatever_its_verdict_and_however_few_runs(
    new_run: Any, tmp_path: Path, edits: tuple[Edit, ...]
) -> None:
    run, own = accepted(new_run, tmp_path, *edits)
    result = check_run(run.folder, own)
    assert result.exit_code is ExitCode.DONE
    assert broken(result) == set()


def test_what_is_on_neither_side_is_not_in_the_baseline(new_run: Any, tmp_path: Path) -> None:
    run, own = accepted(new_run, tmp_path, few_runs)
    result = check_run(run.folder, own)
    assert verdicts(result)["int8.latency_p99.baseline"] == "not in the baseline"
    assert "not compared" in result.headline


def test_what_is_new_is_not_in_the_baseline_and_what_is_gone_is_missing(
    new_run: Any, baseline: Path, tmp_path: Path
) -> None:
    _, without = accepted(new_run, tmp_path, few_runs)
    assert verdicts(check_run(new_run("whole").folder, without))["int8.latency_p99.baseline"] == ("not in the baseline")
    gone = new_run("gone")
    gone.change(few_runs)
    result = check_run(gone.folder, baseline)
    assert verdicts(result)["int8.latency_p99.baseline"] == "missing"
    assert result.exit_code is ExitCode.NOT_MET


def test_a_limit_is_not_excused_by_a_figure_that_is_not_there(new_run: Any, tmp_path: Path) -> None:
    run, own = accepted(new_run, tmp_path, few_runs)
    limits = tmp_path / "tolerances.yaml"
    limits.write_text("against_fp32: {latency_p99: {at_most: 1.0e12}}\nagainst_baseline: {}\n")
    result = check_run(run.folder, own, limits)
    assert broken(result) == {"int8.latency_p99.fp32", "qdq.latency_p99.fp32"}


def test_a_limit_that_the_accepted_run_missed_is_reported_as_accepted(new_run: Any, tmp_path: Path) -> None:
    run, own = accepted(new_run, tmp_path, misses, slow)
    lines = verdicts(result := check_run(run.folder, own))
    for name in ("agreement", "kl", "top1_drop", "speedup"):
        assert lines[f"int8.{name}.fp32"] == "accepted"
    assert "missed as in the accepted run" in result.headline


@pytest.mark.parametrize(("agreement", "verdict"), [(0.69, "accepted"), (0.67, "fail")])
def test_it_fails_if_the_run_is_worse_by_more_than_is_tolerated(
    new_run: Any, tmp_path: Path, agreement: float, verdict: str
) -> None:
    _, own = accepted(new_run, tmp_path, misses)
    worse = new_run("worse", seed=1)
    worse.change(misses)
    for place in (0, 1):
        worse.change(
            lambda values, at=place: values["models"][at]["selection"]["evaluation"]["fidelity"].update(
                agreement=agreement
            )
        )
    assert verdicts(check_run(worse.folder, own))["int8.agreement.fp32"] == verdict


def test_a_limit_that_the_accepted_run_held_still_binds(new_run: Any, baseline: Path) -> None:
    run = new_run(seed=1)
    run.change(misses)
    assert {"int8.agreement.fp32", "int8.top1_drop.fp32", "run.criterion"} <= broken(check_run(run.folder, baseline))


def test_a_required_figure_that_is_not_compared_fails(new_run: Any, tmp_path: Path) -> None:
    run, own = accepted(new_run, tmp_path, few_runs)
    result = check_run(run.folder, own, require=("latency_p99", "agreement"))
    assert broken(result) == {"int8.latency_p99.baseline", "qdq.latency_p99.baseline"}
    assert result.exit_code is ExitCode.NOT_MET


def test_a_required_figure_that_nothing_looks_at_is_the_users_to_fix(new_run: Any, baseline: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        check_run(new_run().folder, baseline, require=("agrement",))
    assert "did you mean agreement?" in str(raised.value)
    with pytest.raises(ConfigError, match="no tolerance checks"):
        check_run(new_run("other").folder, limits_only=True, require=("latency_p99",))


def test_limits_alone_need_no_baseline_and_say_so(new_run: Any) -> None:
    result = check_run(new_run().folder, limits_only=True)
    assert result.exit_code is ExitCode.DONE
    assert "No baseline: limits against fp32 alone." in result.notes
    assert not [line for line in result.lines if line.name.endswith(".baseline")]
