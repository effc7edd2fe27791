"""The CPU in a report, drawn only if the report has it."""

from __future__ import annotations

import pytest

from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.loads import Load, Resources
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.report.html import html
from quantize.report.lines import WIDTH
from quantize.report.markdown import markdown
from quantize.report.provenance import MachineSection
from quantize.report.schema import RunReport
from quantize.report.speed_tables import machine_table, opened_sentence
from quantize.report.storage import read_report, write_report
from quantize.report.text import summary

_LAYERS = (ModelLayer("stem", "first", 20_000_000, None), ModelLayer("wide", "pointwise", 300_000_000, None))


@pytest.fixture
def section(recorded_machines) -> MachineSection:
    machine = recorded_machines["avx2"]
    return MachineSection(machine=machine, target="avx2", threads=1, expectation=expected("net", _LAYERS, machine))


def test_the_cpu_is_in_every_form_of_the_report(report: RunReport, section: MachineSection) -> None:
    with_cpu = report.model_copy(update={"machine": section})
    text = summary(with_cpu)
    assert section.line in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= WIDTH
    drawn = markdown(with_cpu)
    assert "## What this CPU can gain" in drawn
    assert "expected here; about 3x with VNNI (estimate from a table)" in drawn
    assert "What this CPU can gain" in html(with_cpu)


def test_what_was_opened_once_is_no_median() -> None:
    load = Load(load_ns=1, first_run_ns=1, before_bytes=1, loaded_bytes=1, peak_bytes=1)
    once, thrice = (Resources(name="int8", loads=(load,) * times) for times in (1, 3))
    assert opened_sentence([once]) == "Each model was opened once, in a process of its own."
    assert opened_sentence([thrice]) == "Each model was opened in 3 processes of its own; medians."


def test_the_table_has_each_kinds_peaks_and_its_share_of_the_model(section: MachineSection) -> None:
    table = machine_table(section)
    assert table is not None
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Conv 1x1"][0] == "93 %"
    assert rows["Conv, first layer"][0] == "7 %"
    assert rows["Conv depthwise"][0] == "–"
    assert rows["Conv 1x1"][-1] == f"{section.machine.single.of('pointwise').gain:.2f}x"


def test_a_report_of_an_earlier_version_has_none(report: RunReport) -> None:
    assert report.machine is None
    assert machine_table(None) is None
    assert "What this CPU can gain" not in markdown(report)


def test_it_survives_writing_and_reading(report: RunReport, section: MachineSection, tmp_path) -> None:
    with_cpu = report.model_copy(update={"machine": section})
    write_report(with_cpu, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == with_cpu


def test_a_model_of_unknown_shapes_says_so(section: MachineSection) -> None:
    assert "is unknown" in section.model_copy(update={"expectation": None}).line
