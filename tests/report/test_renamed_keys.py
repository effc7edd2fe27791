from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quantize.gate.document import read_document
from quantize.report.renamed_keys import RENAMED, new_name, with_new_names
from quantize.report.schema import RunReport
from quantize.report.storage import read_report, write_report

FIXTURE = Path(__file__).parent / "fixtures" / "report-v1.json"
EARLIER = Path(__file__).parents[1] / "run" / "fixtures" / "e637d74" / "run" / "report.json"
SEARCH = {"images": 40, "candidates": [], "compared": [], "stages": []}


def of_earlier_version() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(EARLIER.read_text())
    values["search"] = {"stopped": "the time was up", **SEARCH}
    return values


def test_a_report_of_an_earlier_version_is_read_under_the_new_names(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(of_earlier_version()))
    search = read_report(tmp_path / "report.json").search
    assert search is not None
    assert search.stopped_because == "the time was up"
    assert read_document(tmp_path / "report.json").text("search", "stopped_because") == "the time was up"


def test_it_is_written_under_the_new_names(tmp_path: Path) -> None:
    write_report(RunReport.model_validate(of_earlier_version()), tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())["search"]
    assert written["stopped_because"] == "the time was up"
    assert "stopped" not in written


def test_a_key_in_a_list_is_renamed_at_every_position() -> None:
    old = {
        "engines": [{"search": {"stopped": "a", **SEARCH}}, {"search": None}, {"search": {"stopped": "b", **SEARCH}}]
    }
    searches = [engine["search"] for engine in with_new_names(old)["engines"]]
    assert [search and search["stopped_because"] for search in searches] == ["a", None, "b"]


def test_everything_else_stays() -> None:
    values = json.loads(FIXTURE.read_text())
    assert with_new_names(values) == values
    assert with_new_names({"search": "damaged", "engines": 3}) == {"search": "damaged", "engines": 3}


def test_dotted_keys_are_renamed_too() -> None:
    assert new_name("search.stopped") == "search.stopped_because"
    assert new_name("engines.1.search.stopped") == "engines.1.search.stopped_because"
    assert new_name("engines.1.search.stages.0.name") == "engines.1.search.stages.0.name"
    assert new_name("search") == "search"


def test_a_renamed_key_stays_where_it_was() -> None:
    assert all(old.rpartition(".")[0] == new.rpartition(".")[0] for old, new in RENAMED.items())
