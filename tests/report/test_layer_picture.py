"""Layers as a picture: what computes in int8, what it costs, what reads it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from quantize.report.layer_map import LayerRow, layer_rows
from quantize.report.layer_picture import layer_picture
from quantize.report.schema import RunReport


def row(name: str, computes: str = "int8", inputs: tuple[int, ...] = (), taken: float = 1e6) -> LayerRow:
    return LayerRow(name, "Conv", computes, taken, None if computes == "joined" else taken, 20.0, inputs)


def test_a_branch_stands_side_by_side_and_a_joined_node_is_read_through() -> None:
    rows = (
        row("a"),
        row("relu", "joined", (0,)),
        row("b", inputs=(1,)),
        row("c", "float", (1,)),
        row("d", inputs=(2, 3)),
    )
    drawn = layer_picture(rows)
    assert drawn is not None
    picture = ElementTree.fromstring(drawn)
    boxes = {box.get("data-layer"): box for box in picture.iter("g")}
    assert list(boxes) == ["0", "2", "3", "4"]
    places = {
        number: tuple(map(float, re.findall(r"[\d.]+", box.get("transform") or ""))) for number, box in boxes.items()
    }
    assert places["2"][1] == places["3"][1]
    assert places["2"][0] < places["3"][0]
    assert places["0"][1] < places["2"][1] < places["4"][1]
    assert len(list(picture.iter("path"))) == 4
    assert boxes["3"].get("class") == "float"


def test_an_arrow_that_passes_a_box_is_not_cut() -> None:
    drawn = layer_picture((row("a"), row("b", inputs=(0,)), row("c", inputs=(0, 1))))
    assert drawn is not None
    picture = ElementTree.fromstring(drawn)
    passing = max(
        (tuple(map(float, re.findall(r"[\d.]+", path.get("d") or ""))) for path in picture.iter("path")),
        key=lambda numbers: numbers[2],
    )
    ends, bends = (passing[0] + passing[6]) / 2, (passing[2] + passing[4]) / 2
    rightmost = ends / 4 + bends * 3 / 4  # of a cubic Bezier curve that bends to one side
    box = next(iter(picture.iter("rect")))
    assert rightmost > ends + float(box.get("width") or 0) / 2
    assert rightmost + 1 <= float(picture.get("width") or 0)


def test_names_from_others_stay_text() -> None:
    drawn = layer_picture((row("<script>\x1b"), row("b", inputs=(0,))))
    assert drawn is not None
    assert "<script" not in drawn
    assert "\x1b" not in drawn


def test_a_report_without_a_graph_has_rows_and_no_picture(report: RunReport) -> None:
    rows = layer_rows(report)
    assert {row.computes for row in rows} >= {"int8", "joined"}
    assert next(row for row in rows if row.name == "conv1").gain is not None
    assert layer_picture(rows) is None


def test_a_very_large_model_is_not_drawn() -> None:
    assert layer_picture([row(str(at), inputs=(at - 1,) if at else ()) for at in range(700)]) is None
