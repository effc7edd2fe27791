"""Whether a run meets its own criterion, compared with the accepted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quantize.cli.main import main
from quantize.commands.check import accept_run, check_run
from quantize.errors import ExitCode
from quantize.gate.baseline import read_baseline
from quantize.gate.result import Line
from tests.gate.test_unchanged import slow

SPEED = {
    "status": "met",
    "min_speedup": 1.0,
    "noise_floor": 0.01,
    "measured_on": "vnni",
    "target": "vnni",
    "files": [],
}


def judged(accuracy: str, speed: str) -> Any:
    def edit(values: dict[str, Any]) -> None:
        order = ["not met", "inconclusive", "met"]
        status = min(accuracy, speed, key=lambda status: order.index(status) if status in order else 3)
        values["verdict"].update(status=status, accuracy=accuracy, summary=f"{accuracy}, {speed}")
        values["verdict"]["speed"] = {**SPEED, "status": speed}

    return edit


def line_of(run: Any, baseline: Path | None, **more: Any) -> Line:
    result = check_run(run.folder, baseline, limits_only=baseline is None, **more)
    return next(line for line in result.lines if line.name == "run.criterion")


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (("met", "met"), ("met", "met"), "pass"),
        (("not met", "met"), ("not met", "met"), "accepted"),
        (("inconclusive", "met"), ("inconclusive", "met"), "accepted"),
        (("not met", "met"), ("met", "met"), "better"),
        (("met", "met"), ("met", "not met"), "fail"),
        (("not met", "met"), ("met", "not met"), "fail"),  # another criterion is missed now
        (("met", "met"), ("inconclusive", "met"), "inconclusive"),
        (("inconclusive", "met"), ("not met", "met"), "fail"),
        (("met", "met"), ("met", "not asked"), "missing"),
        (("met", "met"), ("met", "not measured for the target"), "not comparable"),
        (("met", "not asked"), ("met", "not met"), "pass"),
    ],
)
def test_a_verdict_may_not_be_worse_than_the_accepted_one(
    new_run: Any, tmp_path: Path, before: tuple[str, str], now: tuple[str, str], verdict: str
) -> None:
    first, second = new_run("first"), new_run("second")
    first.change(judged(*before))
    second.change(judged(*now))
    accept_run(first.folder, tmp_path / "b.json")
    line = line_of(second, tmp_path / "b.json")
    assert (line.verdict, line.baseline, line.found) == (verdict, ", ".join(before), ", ".join(now))


def test_a_verdict_that_is_gone_is_missing(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda values: values.pop("verdict"))
    assert line_of(run, baseline).verdict == "missing"


@pytest.mark.parametrize(
    ("asked", "status", "verdict"),
    [("any", "met", "pass"), ("any", "not met", "not comparable"), ("met", "not met", "fail"), ("met", "met", "pass")],
)
def test_without_a_baseline_it_is_reported_unless_the_tolerances_ask(
    new_run: Any, tmp_path: Path, asked: str, status: str, verdict: str
) -> None:
    run = new_run()
    run.change(lambda values: values["verdict"].update(status=status))
    tolerances = tmp_path / "tolerances.yaml"
    tolerances.write_text(f"criterion: {asked}\n")
    assert line_of(run, None, tolerances=tolerances).verdict == verdict


def test_a_baseline_of_before_does_not_tell_its_verdict(new_run: Any, baseline: Path) -> None:
    import json

    values = json.loads(baseline.read_text("utf-8"))
    del values["verdict"]
    baseline.write_text(json.dumps(values), "utf-8")
    run = new_run()
    run.change(lambda report: report["verdict"].update(status="not met"))
    assert line_of(run, baseline).verdict == "not in the baseline"
    required = check_run(run.folder, baseline, require=("criterion",))
    assert required.exit_code is ExitCode.NOT_MET


def test_accepting_a_run_that_misses_its_criterion_says_so(
    new_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run()
    run.change(judged("not met", "met"))
    assert main(["baseline", "accept", str(run.folder), "--output", str(tmp_path / "b.json")]) is ExitCode.DONE
    assert "This run does not meet its criterion: not met, met." in capsys.readouterr().out


def test_accepting_a_run_of_before_that_is_slower_than_fp32_says_so(
    new_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run()
    run.change(slow)
    assert main(["baseline", "accept", str(run.folder), "--output", str(tmp_path / "b.json")]) is ExitCode.DONE
    assert "This run is met: met, slower than fp32." in capsys.readouterr().out
    kept = read_baseline(tmp_path / "b.json").verdict
    assert kept is not None
    assert kept.slower


def test_accepting_a_good_run_says_nothing_more(
    new_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["baseline", "accept", str(new_run().folder), "--output", str(tmp_path / "b.json")])
    assert len(capsys.readouterr().out.splitlines()) == 1
