"""A CPU is measured once, and again when something about it changed or the user asks."""

from __future__ import annotations

from functools import partial

import onnxruntime
import pytest

from quantize.measurement.machine import cpu, measure_cpu
from quantize.measurement.machine.measure_cpu import (
    Known,
    measure_machine,
    this_machine,  # the real one: tests elsewhere get a recorded machine
)


@pytest.fixture
def measured():
    """Return the numbers of threads of the measurements so far."""
    return []


@pytest.fixture
def ask(measured, monkeypatch, tmp_path, recorded_machines):
    """Return ``this_machine`` with a cache of its own and a measurement that takes no time."""

    def measure(threads: int):
        measured.append(threads)
        return recorded_machines["vnni"]

    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "cache"))
    return partial(this_machine, measure=measure)


def test_the_second_time_it_is_read_from_the_cache(ask, measured, tmp_path, recorded_machines):
    assert ask(1) == Known(recorded_machines["vnni"], None)
    second = ask(1)
    assert second.machine == recorded_machines["vnni"]
    assert second.from_cache is not None
    assert second.from_cache.is_relative_to(tmp_path / "cache" / "machine")
    assert measured == [1]


def test_it_is_measured_again_on_request(ask, measured):
    ask(1)
    assert ask(1, again=True).from_cache is None
    assert measured == [1, 1]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (cpu, "cpu_model", lambda: "another CPU"),
        (cpu, "affinity", lambda: (0,) * 99),
        (onnxruntime, "__version__", "9.9"),
        (measure_cpu, "this_cpu_class", lambda: "any"),
    ],
)
def test_another_cpu_class_or_onnxruntime_is_measured_again(ask, measured, monkeypatch, module, name, value):
    ask(1)
    monkeypatch.setattr(module, name, value)
    ask(1)
    assert measured == [1, 1]


def test_another_number_of_threads_is_measured_again(ask, measured):
    ask(1), ask(2), ask(2), ask(1)
    assert measured == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"cpu_class": "vnni"}', b"\xff\xfe"])
def test_a_damaged_file_is_measured_again(ask, damage):
    ask(1)
    place = ask(1).from_cache
    assert place is not None
    place.write_bytes(damage)
    assert ask(1).from_cache is None
    assert ask(1).from_cache == place


def test_a_cache_that_cannot_be_written_costs_only_time(ask, measured, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QUANTIZE_CACHE", str(tmp_path / "file"))
    assert ask(1).from_cache is None
    assert ask(1).from_cache is None
    assert measured == [1, 1]


def _at(fp32: float, int8: float, rewritten: float = 1.0):
    """Return nanoseconds at so many G multiply-adds a second; a rewritten first layer's are its own shape's."""

    def nanoseconds(probe, threads):
        rate = fp32 if probe.arithmetic == "fp32" else int8 if probe.block == 1 else rewritten
        return probe.shape.multiply_adds / rate / threads

    return nanoseconds


def test_this_machine_is_measured_on_one_thread_and_on_several(timed):
    machine = measure_machine(3, times=timed(_at(100, 300)))
    assert machine.several is not None
    assert (machine.single.threads, machine.several.threads) == (1, 3)
    assert machine.peak_rates(3) == machine.several
    assert machine.memory_rate > 0
    assert measure_machine(1, times=timed(_at(100, 300))).several is None
    with pytest.raises(KeyError):
        machine.peak_rates(2)
