from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import quantize.report
from quantize.errors import RunError
from quantize.report.schema import RunReport
from quantize.report.storage import json_schema, read_report, write_report

_FIXTURES = Path(__file__).parent / "fixtures"
_WRITTEN = Path(quantize.report.__file__).parent / "report-v1.schema.json"


def _values(path: Path = _FIXTURES / "report-v1.json") -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return values


def test_the_written_schema_is_the_models() -> None:
    assert json.loads(_WRITTEN.read_text("utf-8")) == json.loads(json_schema(RunReport)), (
        "quantize schema report > " + _WRITTEN.name
    )


def test_the_schema_is_one_and_takes_a_real_report() -> None:
    schema = json.loads(json_schema(RunReport))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(_values(), schema)


def test_the_schema_refuses_a_report_without_its_verdict() -> None:
    values = _values()
    del values["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="verdict"):
        jsonschema.validate(values, json.loads(json_schema(RunReport)))


@pytest.mark.parametrize("path", sorted(_FIXTURES.glob("report-v*.json")), ids=lambda path: path.stem)
def test_reports_of_every_version_are_read(path: Path) -> None:
    assert read_report(path).verdict.status == "met"


def test_a_report_survives_writing_and_reading(report: RunReport, tmp_path: Path) -> None:
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


def test_the_recorded_report_reveals_nothing_about_the_machine_that_made_it() -> None:
    text = (_FIXTURES / "report-v1.json").read_text("utf-8")
    assert len(text) < 160_000
    assert not [word for word in ("/root", "/home", "/tmp", "/work") if word in text]


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "Invalid JSON"), ("{}", "such places"), ('{"schema_version": 2}', "schema_version")]
)
def test_what_is_no_report_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(RunError) as raised:
        read_report(tmp_path / "report.json")
    assert reason in str(raised.value)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("key", ["models", "loads"])
def test_a_report_of_no_models_or_of_no_loads_is_refused(tmp_path: Path, key: str) -> None:
    values = _values()
    (values if key == "models" else values["resources"][0])[key] = []
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=key):
        read_report(tmp_path / "report.json")


def test_a_report_of_a_model_without_bytes_is_refused(tmp_path: Path) -> None:
    values = _values()
    values["baseline"]["bytes"] = 0
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"baseline\.bytes"):
        read_report(tmp_path / "report.json")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": "another"}, "contestants fp32, "),
        ({"name": "another", "contestant": "another"}, "does not compare each model"),
        ({"role": "alone"}, "does not compare each model"),
    ],
)
def test_a_measurement_without_times_of_a_contestant_or_of_a_model_is_refused(
    tmp_path: Path, changed: dict[str, str], reason: str
) -> None:
    values = _values()
    for part in (*values["measurement"]["contestants"], *values["measurement"]["blocks"]):
        if "int8" in (part.get("name"), part.get("contestant")):
            part.update({key: value for key, value in changed.items() if key in part})
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=reason):
        read_report(tmp_path / "report.json")


def test_a_report_of_two_models_of_a_format_is_refused(tmp_path: Path) -> None:
    values = _values()
    values["models"][0]["role"] = values["models"][1]["role"]
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match="the roles are not"):
        read_report(tmp_path / "report.json")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({**_values(), "colour": "red"}))
    with pytest.raises(RunError, match="a report that this version cannot read"):
        read_report(tmp_path / "report.json")
