"""Rewrites that pay on some CPUs only: where they are not tried, and what is told where they are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quantize.journal import Journal
from quantize.rewrites import REWRITES, RewriteRecord, select_rewrites
from quantize.run import left_out as module
from quantize.run.left_out import left_out, notes_of_kept

NO_UNITS = {"matrix-units": "onnxruntime takes no units for products of matrices on this CPU"}
OTHERS = {"matrix-units": "it pays on some CPUs only, and the files are for others than this one"}


def context(journal: Path, *, target: str = "vnni", recorded: dict[str, Any] | None = None) -> Any:
    ratios = SimpleNamespace(journal=Journal(journal, {}, resume=journal.exists()), recorded=recorded or {})
    return SimpleNamespace(target=target, ratios=ratios)


@pytest.fixture(autouse=True)
def _with_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", "vnni")


@pytest.mark.parametrize(
    ("target", "units", "expected"), [("vnni", True, {}), ("vnni", False, NO_UNITS), ("any", True, OTHERS)]
)
def test_what_needs_matrix_units_is_tried_where_the_files_are_for_this_cpu_and_it_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, units: bool, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(module, "has_matrix_units", lambda: units)
    run = context(tmp_path / "journal", target=target)
    assert left_out(run, select_rewrites("default"), timed=True) == expected
    assert left_out(run, select_rewrites("redundant"), timed=True) == {}


def test_what_was_measured_before_a_run_was_broken_off_decides_when_it_goes_on_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for units in (False, True):
        monkeypatch.setattr(module, "has_matrix_units", lambda answer=units: answer)
        run = context(tmp_path / "journal")
        assert left_out(run, REWRITES, timed=True) == NO_UNITS


def test_where_times_are_recorded_they_decide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "has_matrix_units", lambda: False)
    run = context(tmp_path / "journal", recorded={"some pair": (1.1, 1.2, 1.3)})
    assert left_out(run, REWRITES, timed=True) == {}


def test_without_timing_nothing_is_tried_that_pays_on_some_cpus_only(tmp_path: Path) -> None:
    untried = left_out(context(tmp_path / "journal"), REWRITES, timed=False)
    assert set(untried) == {"sigmoid-product", "function-table", "matrix-units"}
    assert set(untried.values()) == {"it pays on some CPUs only, and a quick run times no rewrite alone"}


@pytest.mark.parametrize(("kept", "count"), [(True, 1), (False, 0)])
def test_files_that_are_slower_on_other_cpus_of_their_class_say_so(kept: bool, count: int) -> None:
    records = [
        RewriteRecord(name, kept, None if kept else "slower", ("Conv",), "exact", 0.0)
        for name in ("redundant", "matrix-units")
    ]
    notes = notes_of_kept(records)
    assert len(notes) == count
    assert all("slower" in note for note in notes)
