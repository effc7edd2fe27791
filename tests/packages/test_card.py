"""The card of a packed model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantize.packages.card import model_card
from quantize.report.storage import read_report

pytestmark = pytest.mark.inc


def test_the_card_has_the_zoos_columns_and_sentence(run: Path) -> None:
    report = read_report(run / "report.json")
    card = model_card(report, "Colours 1.0", "Apache-2.0, as the fp32 model.")
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert rows[0] == (
        "|Model|Download|Download (with sample test data)|ONNX version|Opset version|Top-1 accuracy (%)"
        "|Top-5 accuracy (%)|"
    )
    assert [row.split("|")[1] for row in rows[2:]] == ["Colours 1.0", "Colours 1.0-int8", "Colours 1.0-qdq"]
    assert len({row.count("|") for row in rows}) == 1
    assert "|[0.00 MB](colours-13-int8.onnx)|[0.00 MB](colours-13-int8.tar.gz)|" in rows[3]
    assert "Compared with the fp32 Colours 1.0, Colours 1.0-int8's Top-1 accuracy drop ratio is 0.00 %" in card
    assert re.search(r"(performance improvement|speed) is \d", card)
    assert report.source.sha256 in card
    assert report.chosen.recipe_id in card
    assert "10 images, not among the 20 evaluation images" in card
