"""What a report says of all cores, by a recorded measurement whose times are moved to wanted speed-ups."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from quantize.measurement.timing.measurement import measured_noise_floor, speedups
from quantize.report.advice import PointSection
from quantize.report.all_cores import AllCoresSection
from quantize.report.conclusion import conclusion
from quantize.report.criterion import FileSpeed
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.storage import read_report, write_report
from quantize.report.text import summary
from quantize.run.verdict import file_speeds
from tests.report.test_headline import spoken

SHIP = "Ship int8 (squeezenet1.0-12-int8.onnx): 2.87x of fp32's speed at 26 % of its size."
BOTH = {"int8": "int8", "qdq": "qdq"}


def on_cores(report: RunReport, *, int8: float, qdq: float, cores: int = 2, rounds: int | None = None) -> RunReport:
    """Return the report with both files at these speed-ups on all cores, and the recorded noise around them."""
    measurement = report.measurement
    assert measurement is not None
    wanted = {"int8": int8, "qdq": qdq}
    factors = {gain.candidate: gain.ratio / wanted[gain.candidate] for gain in speedups(measurement)}
    blocks = tuple(
        block.model_copy(
            update={"runs_ns": tuple(round(factors.get(block.contestant, 1.0) * run) for run in block.runs_ns)}
        )
        for block in measurement.blocks
        if rounds is None or block.round < rounds
    )
    plan = measurement.plan.model_copy(update={"threads": cores})
    moved = measurement.model_copy(update={"blocks": blocks, "plan": plan})
    section = AllCoresSection(
        cores=cores,
        noise_floor=measured_noise_floor(moved),
        files=file_speeds(moved, BOTH, None),
        measurement=moved,
    )
    return report.model_copy(update={"all_cores": section})


def files_there(report: RunReport) -> dict[str, FileSpeed]:
    assert report.all_cores is not None
    return {file.role: file for file in report.all_cores.files}


def speed_point(report: RunReport) -> PointSection:
    (point,) = (point for point in conclusion(report).points if point.subject == "speed")
    return point


def test_files_that_are_faster_on_all_cores_too_add_their_figure_and_nothing_to_the_recommendation(
    report: RunReport,
) -> None:
    told = conclusion(on_cores(report, int8=2.2, qdq=2.2))
    speed = speed_point(on_cores(report, int8=2.2, qdq=2.2))
    assert told.recommendation == SHIP
    assert "On all 2 cores: 2.20x (" in speed.text
    assert speed.state == "good"


def test_files_that_are_slower_on_all_cores_are_told_where_the_recommendation_stands(report: RunReport) -> None:
    slow = on_cores(report, int8=0.9, qdq=0.9, cores=4)
    own = files_there(slow)["int8"]
    told = conclusion(slow)
    assert told.decision == "ship int8"
    assert told.recommendation == (
        f"{SHIP} On all 4 cores int8 is slower than fp32, 0.90x ({own.low:.2f} to {own.high:.2f}): use it with one "
        "thread per request, or tune with --cores_per_instance 4."
    )
    assert (told.points[0].subject, told.points[0].state) == ("speed", "slower")
    assert told.points[0].text.endswith("SLOWER than fp32.")


@pytest.mark.parametrize("draw", [summary, markdown, html])
def test_it_is_told_in_every_form_of_the_report(draw: Callable[[RunReport], str], report: RunReport) -> None:
    drawn = re.sub(r"<[^>]*>", "", draw(on_cores(report, int8=0.9, qdq=0.9))).replace("\\", "")
    told = " ".join(drawn.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "On all 2 cores int8 is slower than fp32, 0.90x (" in told
    assert "use it with one thread per request, or tune with --cores_per_instance 2." in told


def test_a_file_that_alone_is_slower_there_is_named_and_the_other_one_to_take(report: RunReport) -> None:
    told = conclusion(on_cores(report, int8=0.9, qdq=1.5)).recommendation
    assert "On all 2 cores the QLinear file is slower than fp32, 0.90x (" in told
    assert ": take the QDQ file there, 1.50x (" in told
    assert told.endswith("), or tune with --cores_per_instance 2.")
    there = speed_point(on_cores(report, int8=0.9, qdq=1.5)).text.partition(" On all 2 cores: ")[2]
    assert re.fullmatch(r"QLinear 0.90x \(.*\), SLOWER than fp32; QDQ 1.50x \(.*\)\.", there)
    told = conclusion(on_cores(report, int8=1.5, qdq=0.9)).recommendation
    assert "On all 2 cores the QDQ file is slower than fp32, 0.90x (" in told
    assert told.endswith(": take the QLinear file there.")


def test_the_format_that_is_faster_only_there_is_told(report: RunReport) -> None:
    told = conclusion(on_cores(report, int8=1.5, qdq=1.9)).recommendation
    assert told.startswith(f"{SHIP} On all 2 cores the QDQ file is the faster one, 1.90x (")
    assert conclusion(on_cores(report, int8=1.9, qdq=1.5)).recommendation == SHIP  # the one that is named anyway


def test_what_misses_by_no_more_than_the_noise_is_not_called_slower(report: RunReport) -> None:
    near = on_cores(report, int8=0.995, qdq=0.995)
    assert near.all_cores is not None
    assert not near.all_cores.slower
    assert conclusion(near).recommendation == SHIP


def test_a_noise_that_explains_a_figure_stands_beside_it(report: RunReport) -> None:
    near = on_cores(report, int8=0.9, qdq=0.9)
    assert near.all_cores is not None
    assert "noise" not in speed_point(near).text
    noisy = near.model_copy(update={"all_cores": near.all_cores.model_copy(update={"noise_floor": 0.41})})
    assert speed_point(noisy).text.endswith(", with a noise of 41 %.")
    assert "Noise, fp32 against itself: 41.0 %" in markdown(noisy)


def test_too_few_rounds_for_an_interval_are_no_certainty(report: RunReport) -> None:
    vague = on_cores(report, int8=0.5, qdq=0.5, rounds=5)
    assert files_there(vague)["int8"].high is None
    assert conclusion(vague).recommendation == SHIP
    speed = speed_point(vague)
    assert "On all 2 cores: QLinear 0." in speed.text
    assert "SLOWER" not in speed.text


def test_files_that_are_slower_here_and_faster_on_all_cores_say_how_to_get_that(report: RunReport) -> None:
    told = conclusion(on_cores(spoken(report), int8=1.4, qdq=1.3))
    assert told.decision == "keep fp32"
    assert " On all 2 cores it is faster, 1.30x (" in told.recommendation
    assert told.recommendation.endswith("): tune with --cores_per_instance 2 to use them all.")
    again = conclusion(on_cores(spoken(report), int8=0.8, qdq=0.8))
    assert again.recommendation == conclusion(spoken(report)).recommendation


def test_a_loss_of_accuracy_or_another_target_leaves_nothing_to_say_of_cores(report: RunReport) -> None:
    lost = report.verdict.model_copy(update={"accuracy": "not met"})
    told = conclusion(on_cores(report.model_copy(update={"verdict": lost}), int8=0.9, qdq=0.9))
    assert "On all" not in told.recommendation
    elsewhere = spoken(report, target="avx2", status="not measured for the target")
    told = conclusion(on_cores(elsewhere, int8=0.9, qdq=0.9))
    assert "On all" not in told.recommendation
    assert all(point.state != "slower" for point in told.points)


def test_the_table_has_the_latencies_and_intervals(report: RunReport) -> None:
    drawn = markdown(on_cores(report, int8=2.0, qdq=1.9))
    table = drawn[drawn.index("## Latency on all 2 cores") :].split("\n## ")[0]
    own = files_there(on_cores(report, int8=2.0, qdq=1.9))["qdq"]
    assert f"1.90x \\[{own.low:.2f}, {own.high:.2f}\\]" in table
    assert table.count("\n| ") == 4
    assert "Latency on all" not in markdown(report)


def test_it_survives_writing_and_reading(report: RunReport, tmp_path: Path) -> None:
    there = on_cores(report, int8=0.9, qdq=1.1)
    write_report(there, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == there
