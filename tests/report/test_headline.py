"""The headline in everything that is drawn: what was not met, then "slower than fp32", then the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quantize.packages.card import model_card
from quantize.report.comparison import compare
from quantize.report.criterion import FileSpeed, SpeedVerdict
from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.speed_tables import speed_table
from quantize.report.text import summary
from quantize.report.trend import comparison_html

TEXT = (
    "The int8 models are NOT as fast as asked (0.73x of fp32's speed, at least 1.00x asked). Slower than fp32: QDQ "
    "0.73x."
)


def spoken(report: RunReport, *, target: str = "vnni", status: str = "not met") -> RunReport:
    """Return the recorded run with the verdict of models that are slower than fp32."""
    files = tuple(
        FileSpeed.model_validate(
            {"role": role, "ratio": 0.73, "low": 0.72, "high": 0.74, "outcome": None, "slower": True}
        )
        for role in ("int8", "qdq")
    )
    speed = SpeedVerdict.model_validate(
        {
            "status": status,
            "min_speedup": 1.0,
            "noise_floor": 0.01,
            "measured_on": "vnni",
            "target": target,
            "files": files,
        }
    )
    words = "speed not met, slower than fp32" if target == "vnni" else "met, speed not measured for the target"
    verdict = report.verdict.model_copy(
        update={"status": "not met", "text": TEXT, "summary": words, "accuracy": "met", "speed": speed}
    )
    return report.model_copy(update={"verdict": verdict})


def test_markdown_and_html_have_it_as_their_heading(report: RunReport) -> None:
    assert markdown(spoken(report)).startswith("# squeezenet1.0-12.onnx: speed not met, slower than fp32\n")
    drawn = html(spoken(report))
    assert "<h1>speed not met, slower than fp32</h1>" in drawn
    assert '<p class="model">squeezenet1.0-12.onnx</p>' in drawn


@pytest.mark.parametrize("draw", [summary, markdown, html])
def test_the_sentence_comes_before_everything_else(draw: Callable[[RunReport], str], report: RunReport) -> None:
    drawn = " ".join(draw(spoken(report)).replace("\\", "").replace("&#39;", "'").split())
    assert TEXT in drawn
    assert drawn.index("NOT as fast as asked") < drawn.index("Slower than fp32") < drawn.index("Accuracy")


def test_a_heading_with_a_colon_leaves_the_models_name_whole(report: RunReport) -> None:
    words = "met, 0 of 26 layers compute in int8: smaller, not faster"
    verdict = report.verdict.model_copy(update={"summary": words})
    drawn = html(report.model_copy(update={"verdict": verdict}))
    assert f"<h1>{words}</h1>" in drawn
    assert '<p class="model">squeezenet1.0-12.onnx</p>' in drawn


def test_what_is_slower_as_requested_is_not_shown_as_good(report: RunReport) -> None:
    slow = spoken(report)
    met = slow.model_copy(update={"verdict": slow.verdict.model_copy(update={"status": "met"})})
    assert '<header class="open">' in html(met)
    assert '<header class="good">' in html(report)
    assert '<header class="bad">' in html(slow)


def test_a_comparison_shows_it_for_each_run(report: RunReport) -> None:
    runs = [("first", report), ("second", spoken(report))]
    verdicts = next(row for row in compare(runs).sides.rows if row[0] == "verdict")
    assert verdicts == ("verdict", "met", "speed not met, slower than fp32")
    assert "slower than fp32" in comparison_html(runs)


def test_the_table_of_latencies_says_if_they_do_not_apply_to_the_target(report: RunReport) -> None:
    table, other = speed_table(spoken(report)), speed_table(spoken(report, target="avx2"))
    assert table is not None
    assert other is not None
    assert table.title == "Latency and size"
    assert other.title == "Latency and size (not measured for the target avx2)"


def test_the_card_does_not_call_it_an_improvement(report: RunReport) -> None:
    assert "performance improvement is 2.87x" in model_card(report, "SqueezeNet 1.0", "BSD")
    card = model_card(spoken(report), "SqueezeNet 1.0", "BSD")
    assert "improvement" not in card
    assert "speed is 2.87x" in card
    assert "NOT as fast as asked" in card
    assert "2.87x" not in model_card(spoken(report, target="avx2"), "SqueezeNet 1.0", "BSD")
