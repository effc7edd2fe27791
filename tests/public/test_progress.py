from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantize.progress import silent
from quantize.public.progress import NotebookBar, shown


class Cell:
    """What a notebook's cell shows."""

    def __init__(self) -> None:
        self.shown: list[Mapping[str, str]] = []

    def display(self, content: Mapping[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        self.shown.append(content)
        return self

    def update(self, content: Mapping[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(content)


def test_a_notebook_shows_the_stage_under_way_and_nothing_at_the_end() -> None:
    cell = Cell()
    with NotebookBar(cell.display) as bar:
        bar("decode <images>", 3, 10)
        bar("decode <images>", 4, 10)  # too soon to be drawn
        bar("decode <images>", 10, 10)
    assert [content["text/plain"] for content in cell.shown] == [
        "",
        "decode <images>: 3 of 10",
        "decode <images>: 10 of 10",
        "",
    ]
    assert cell.shown[1]["text/html"] == "<progress value='3' max='10'></progress> decode &lt;images&gt;: 3 of 10"


def test_nothing_is_drawn_where_nobody_looks_on(monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    with shown(None) as progress:
        assert progress is silent


def test_a_callback_of_the_callers_own_is_taken() -> None:
    told: list[str] = []

    def own(stage: str, done: int, total: int | None) -> None:
        told.append(f"{stage} {done} {total}")

    with shown(own) as progress:
        progress("tune", 1, None)
    assert told == ["tune 1 None"]
