"""Layers that are measured alone: they run, and their sums show what this CPU's kernels do."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.machine.kernels import saturates
from quantize.measurement.machine.layer_shapes import KINDS, ConvShape, GemmShape
from quantize.measurement.machine.probe import ARITHMETICS, Probe, activation_type, probe_graph
from quantize.measurement.machine.probe_rates import SHAPES, probe_times
from quantize.models.session import open_session

_SMALL = (
    ConvShape(8, 4, (1, 1), (4, 4)),
    ConvShape(4, 4, (3, 3), (5, 5), pads=(1, 1, 1, 1), strides=(2, 2)),
    ConvShape(4, 4, (3, 3), (5, 5), group=4),
    ConvShape(3, 4, (3, 3), (8, 8), strides=(2, 2)),
    GemmShape(3, 8, 5),
)


@pytest.mark.parametrize("shape", _SMALL, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_every_kind_of_layer_runs_in_every_arithmetic(shape, arithmetic):
    graph, data = probe_graph(Probe(shape, arithmetic))
    (result,) = open_session(graph.SerializeToString()).run(None, {"x": data})
    assert result.dtype == data.dtype == activation_type(arithmetic)
    pixels = np.prod(shape.result_size) if isinstance(shape, ConvShape) else shape.rows
    assert result.size == pixels * shape.outputs
    assert len(np.unique(result)) > 3, "a layer whose result is constant is no layer"


def test_every_kind_has_layers_that_stand_for_it():
    assert {kind: {shape.kind for shape in SHAPES[kind]} for kind in KINDS} == {kind: {kind} for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_sums_saturate_on_cpus_without_a_dot_product_and_nowhere_else(kind):
    """Depthwise layers have a kernel of their own, which adds in 32 bits."""
    assert saturates(kind, "u8s8") == (this_cpu_class() == "avx2" and kind != "depthwise")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arithmetic", ["u8s8 7 bits", "u8u8", "s8s8"])
def test_seven_bits_and_other_types_never_saturate(kind, arithmetic):
    assert not saturates(kind, arithmetic)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_measurement_gives_each_layer_as_many_times_and_leaves_nothing_behind(threads, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    probes = [Probe(shape, arithmetic) for shape in _SMALL for arithmetic in ("fp32", "u8s8")]
    found = probe_times(probes, threads, rounds=3)
    assert len(found) == len(probes)
    assert len({len(times) for times in found}) == 1
    assert len(found[0]) >= 6
    assert list(tmp_path.iterdir()) == []


def test_a_slow_cpu_has_two_rounds_whatever_the_time():
    now = iter(range(0, 10**15, 10**12))
    (times,) = probe_times([Probe(_SMALL[0], "fp32")], 1, rounds=100, clock=lambda: next(now))
    assert len(times) == 6
