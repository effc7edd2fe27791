from __future__ import annotations

from pathlib import Path

import fleet
import pytest
from contest.cells import Cells, Near, Timed
from contest.page import page
from contest.pages import render_pages
from contest.summary import summary
from peers import PAGE, RESULTS, drawn
from PIL import Image

KNOWN = {"network": "resnet18", "fp32_sha256": "0" * 64, "images": 200}
MACHINE = {"cpu": "Some CPU", "class": "vnni", "cores": "2", "instructions": "avx2", "onnxruntime": "1.32.0"}


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    kept = Cells(tmp_path, "some-cpu")
    timed = {"network": "resnet18", "threads": 1, "machine": MACHINE}
    kept.write(Near(contender="fp32", file_sha256="a" * 64, **KNOWN))
    kept.write(Timed(contender="fp32", nanoseconds=8e6, file_sha256="a" * 64, **timed))
    kept.write(Near(contender="ours-qdq", file_sha256="b" * 64, decibel=30.04, int8_share=0.98, **KNOWN))
    fast = {"ratio": 3.0, "low": 2.9, "high": 3.1, "rounds": 9}
    kept.write(Timed(contender="ours-qdq", nanoseconds=2.7e6, file_sha256="b" * 64, **fast, **timed))
    kept.write(Near(contender="quark", reason="not ready after 10 minutes", **KNOWN))
    return kept


def test_the_page_is_what_its_cells_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == drawn()


def test_our_place_among_the_others_stands_in_the_figures_as_measured() -> None:
    figures = (PAGE.parent / "figures.md").read_text(encoding="utf-8")
    folders = [path.name for path in RESULTS.glob("*") if path.is_dir()]
    assert folders
    for folder in folders:
        assert summary(Cells(RESULTS, folder)) in figures


def test_a_cell_is_found_again_and_one_that_is_missing_is_none(cells: Cells) -> None:
    near, timed = cells.near("resnet18", "ours-qdq"), cells.timed("resnet18", "ours-qdq", 1)
    assert near is not None
    assert timed is not None
    assert (near.decibel, timed.ratio, cells.threads("resnet18")) == (30.04, 3.0, [1])
    assert cells.near("resnet18", "neural-compressor") is None
    assert cells.timed("resnet18", "ours-qdq", 2) is None


def test_a_row_has_what_was_measured_and_a_reason_stands_for_what_could_not_be(cells: Cells) -> None:
    text = page([cells])
    assert "## Some CPU, class `vnni`, 2 cores (avx2), onnxruntime 1.32.0" in text
    assert "| ours, QDQ | 30.0 dB | 98 % | 3.00x (2.90 to 3.10), 2.70 ms |" in text
    assert "| AMD Quark | – | – | – |" in text
    assert "AMD Quark: not ready after 10 minutes." in text
    assert "agreement" not in text.partition("### Table B")[2]


def test_a_network_that_was_not_measured_is_named(cells: Cells) -> None:
    real, made = page([cells]).split("### Table B")
    assert "Not measured on this CPU: SqueezeNet 1.0; EfficientNet-Lite0;" in real
    assert "Not measured on this CPU: ResNet-50; MobileNetV2;" in made


def test_a_time_of_another_file_is_not_shown_as_this_ones(cells: Cells) -> None:
    cells.write(Near(contender="ours-qdq", file_sha256="c" * 64, decibel=31.0, **KNOWN))
    assert "| ours, QDQ | 31.0 dB |  | another file was timed |" in page([cells]).replace("not known", "")


def test_pages_are_turned_as_their_labels_say(tmp_path: Path) -> None:
    labels = render_pages(tmp_path, 4, seed=1)
    assert [line.split()[1] for line in labels.read_text(encoding="utf-8").splitlines()] == ["0", "1", "2", "3"]
    sizes = [Image.open(tmp_path / "pages" / f"page-{number:03}.png").size for number in range(4)]
    assert [width < height for width, height in sizes] == [True, False, True, False]


def test_what_target_any_costs_stands_in_the_readme_as_measured() -> None:
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    folders = list(fleet.RESULTS.glob("*"))
    assert folders
    for folder in folders:
        assert fleet.table(Cells(fleet.RESULTS, folder.name)) in readme
