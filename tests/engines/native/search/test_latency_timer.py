from __future__ import annotations

from dataclasses import replace

import pytest

from quantize.engines.native.search.latency_table import LatencyTable
from quantize.engines.native.search.latency_timer import LatencyTimer
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.journal import Journal


@pytest.fixture
def timer(clock, model, tmp_path):
    journal = SearchJournal(Journal(tmp_path / "journal.jsonl", {}, resume=False))
    return LatencyTimer(model, journal, clock.measure, clock.profile, LatencyTable(model=model.graph_sha256))


def test_the_same_graph_is_measured_once_whatever_its_file(timer, clock, model, tmp_path):
    first = timer.latency(model)
    assert timer.latency(replace(model, path=tmp_path / "elsewhere.onnx")) == first
    assert len(clock.measured) == 1


def test_what_seems_to_beat_the_best_is_measured_twice(timer, clock, model):
    timer.latency(model, to_beat=0.5)
    assert len(clock.measured) == 2


def test_a_latency_table_replaces_measuring(timer, clock, model, tmp_path):
    latency = timer.latency(model)
    clock.measured.clear()
    journal = SearchJournal(Journal(tmp_path / "another.jsonl", {}, resume=False))
    again = LatencyTimer(model, journal, clock.measure, clock.profile, timer.table)
    assert again.latency(model) == latency
    assert clock.measured == []


def test_a_recipe_whose_graph_differs_in_its_last_bits_keeps_its_recorded_times(timer, clock, model, tmp_path):
    latency = timer.latency(model, recipe="abc")
    clock.measured.clear()
    journal = SearchJournal(Journal(tmp_path / "another.jsonl", {}, resume=False))
    again = LatencyTimer(model, journal, clock.measure, clock.profile, timer.table)
    assert again.latency(replace(model, graph_sha256="of another CPU"), recipe="abc") == latency
    assert clock.measured == []
    again.latency(replace(model, graph_sha256="of another recipe"), recipe="def")
    assert len(clock.measured) == 1


def test_times_that_a_latency_table_lacks_are_measured_and_that_is_told_once(timer, clock, model, tmp_path, caplog):
    timer.latency(model, recipe="abc")
    assert "latency table" in caplog.text
    caplog.clear()
    timer.latency(replace(model, graph_sha256="another"), recipe="def")
    measuring = LatencyTimer(
        model, SearchJournal(Journal(tmp_path / "none.jsonl", {}, resume=False)), clock.measure, clock.profile
    )
    measuring.latency(model)  # nothing was recorded that could be lacking
    assert caplog.text == ""


def test_a_candidate_is_timed_against_another_one_and_reported_against_fp32(timer, clock, model, tmp_path):
    times = {"fp32": 900.0, "first": 300.0, "second": 200.0}
    clock.time_ns = lambda artifact: times[artifact.path.stem] * drift[0]
    first, second = (replace(model, path=tmp_path / f"{name}.onnx", graph_sha256=name) for name in ("first", "second"))
    timer._model = replace(model, path=tmp_path / "fp32.onnx")
    drift = [1.0]
    assert timer.latency(first).ratio == pytest.approx(3.0)
    drift[0] = 1.7  # the machine became slower; what is measured in alternation does not notice
    latency = timer.latency(second, baseline=first)
    assert latency.ratio == pytest.approx(4.5)
    assert (latency.baseline_ns, latency.candidate_ns) == pytest.approx((900.0, 200.0))
