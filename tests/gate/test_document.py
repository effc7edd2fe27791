"""The report as the gate reads it: values of another form than a run writes are missing figures, and end nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quantize.commands.check import default_tolerances
from quantize.gate.check import check
from quantize.gate.document import read_document
from quantize.gate.drawings import check_markdown, check_text, junit, workflow_commands
from quantize.gate.figures import FIGURES

_FIXTURE = Path("tests/report/fixtures/report-v1.json")
_PARTS = ("baseline", "models", "data", "measurement", "resources", "stages", "engines", "flips", "chosen", "target")


@pytest.mark.parametrize("value", [5, "x", [1, "x", None], {"x": [{}]}, None, True])
@pytest.mark.parametrize("part", _PARTS)
def test_a_part_of_another_form_ends_no_check(part: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**json.loads(_FIXTURE.read_text("utf-8")), part: value}))
    document = read_document(path)
    for role in ("fp32", "int8", "qdq"):
        for name in FIGURES:
            figure = document.figure(role, name)
            assert figure is None or isinstance(figure, int | float)
    result = check(document, None, default_tolerances(), {}, run="x")
    assert check_text(result)
    assert check_markdown(result)
    assert junit(result)
    workflow_commands(result)


@pytest.mark.parametrize("resources", [5, [{"name": "int8", "loads": []}]])
def test_resources_of_another_form_leave_the_memory_unknown(tmp_path: Path, resources: object) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**json.loads(_FIXTURE.read_text("utf-8")), "resources": resources}))
    assert read_document(_FIXTURE).figure("int8", "peak_memory") is not None
    assert read_document(path).figure("int8", "peak_memory") is None
