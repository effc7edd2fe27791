"""Graphs of one layer."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.measurement.machine.layer_shapes import ConvShape, GemmShape
from quantize.measurement.machine.probe import ARITHMETICS, Probe, activation_type, probe_graph
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
