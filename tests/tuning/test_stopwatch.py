from __future__ import annotations

from dataclasses import replace

import pytest

from quantize.tuning.journal import Journal
from quantize.tuning.latency_table import LatencyTable
from quantize.tuning.steps import Steps
from quantize.tuning.stopwatch import Stopwatch


@pytest.fixture
def watch(clock, model, tmp_path):
    steps = Steps(Journal(tmp_path / "journal.jsonl", {}, resume=False))
    return Stopwatch(steps, clock.measure, clock.profile, LatencyTable(model=model.graph_sha256))


def test_the_same_graph_is_measured_once_whatever_its_file(watch, clock, model, tmp_path):
    first = watch.latency(model)
    assert watch.latency(replace(model, path=tmp_path / "elsewhere.onnx")) == first
    assert len(clock.measured) == 1


def test_what_seems_to_beat_the_best_is_measured_twice(watch, clock, model):
    watch.latency(model, to_beat=1.0)
    assert len(clock.measured) == 2


def test_a_table_stands_in_place_of_measuring(watch, clock, model, tmp_path):
    found = watch.latency(model)
    clock.measured.clear()
    steps = Steps(Journal(tmp_path / "another.jsonl", {}, resume=False))
    again = Stopwatch(steps, clock.measure, clock.profile, watch.table)
    assert again.latency(model) == found
    assert clock.measured == []
