"""A CPU is measured once, and again when something about it changed or the user asks."""

from __future__ import annotations

import onnxruntime
import pytest

from quantize.measurement.machine import cpu, known
from quantize.measurement.machine.known import Known
from quantize.measurement.machine.known import (
    this_machine as ask,  # the real one: tests elsewhere get a recorded machine
)


@pytest.fixture
def measured(monkeypatch, tmp_path, recorded_machines):
    """Return the numbers of threads of the measurements so far, in a cache of their own."""
    runs: list[int] = []

    def measure(threads: int):
        runs.append(threads)
        return recorded_machines["vnni"]

    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "measure_machine", measure)
    return runs


def test_the_second_time_it_is_read_from_the_cache(measured, tmp_path, recorded_machines):
    assert ask(1) == Known(recorded_machines["vnni"], None)
    second = ask(1)
    assert second.machine == recorded_machines["vnni"]
    assert second.from_cache is not None
    assert second.from_cache.is_relative_to(tmp_path / "cache" / "machine")
    assert measured == [1]


def test_it_is_measured_again_on_request(measured):
    ask(1)
    assert ask(1, again=True).from_cache is None
    assert measured == [1, 1]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (cpu, "cpu_model", lambda: "another CPU"),
        (cpu, "affinity", lambda: (0,) * 99),
        (onnxruntime, "__version__", "9.9"),
        (known, "this_cpu_class", lambda: "any"),
    ],
)
def test_another_cpu_class_or_onnxruntime_is_measured_anew(measured, monkeypatch, module, name, value):
    ask(1)
    monkeypatch.setattr(module, name, value)
    ask(1)
    assert measured == [1, 1]


def test_another_number_of_threads_is_measured_anew(measured):
    ask(1), ask(2), ask(2), ask(1)
    assert measured == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"cpu_class": "vnni"}', b"\xff\xfe"])
def test_a_damaged_file_is_measured_anew(measured, damage):
    ask(1)
    place = ask(1).from_cache
    assert place is not None
    place.write_bytes(damage)
    assert ask(1).from_cache is None
    assert ask(1).from_cache == place


def test_a_cache_that_cannot_be_written_costs_only_time(measured, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "file"))
    assert ask(1).from_cache is None
    assert ask(1).from_cache is None
    assert measured == [1, 1]
