"""Whether onnxruntime's general product of bytes outruns its integer Conv on this CPU, as with AMX."""

from __future__ import annotations

from functools import cache
from time import perf_counter_ns

from onnx import ModelProto, numpy_helper

from quantize.measurement.machine.layer_shapes import ConvShape
from quantize.measurement.machine.probe import Probe, probe_graph
from quantize.models.session import open_session

_GAIN = 1.15
"""Times as fast; 1.4 to 2.0 were seen with AMX, 0.7 to 0.95 without."""
_SHAPE = ConvShape(inputs=1024, outputs=256, size=(14, 14), kernel=(1, 1))
_BLOCKS, _RUNS = 10, 3


@cache
def has_matrix_units() -> bool:
    """Return whether a Conv is faster here as a general product: measured once a process, in hundredths of a second.

    Of each form the fastest block counts, so that what else the machine does moves nothing.
    """
    graph, data = probe_graph(Probe(_SHAPE, "u8s8"))
    forms = [open_session(form.SerializeToString()) for form in (graph, as_general_product(graph))]
    fastest = [float("inf")] * len(forms)
    for _ in range(_BLOCKS):
        for at, session in enumerate(forms):
            session.run(None, {"x": data})
            begin = perf_counter_ns()
            for _ in range(_RUNS):
                session.run(None, {"x": data})
            fastest[at] = min(fastest[at], perf_counter_ns() - begin)
    return fastest[0] / fastest[1] >= _GAIN


def as_general_product(graph: ModelProto) -> ModelProto:
    """Return the graph of an integer Conv (``probe_graph``) whose weights lie around another zero point than zero."""
    form = ModelProto()
    form.CopyFrom(graph)
    for constant in form.graph.initializer:
        if constant.name in ("w", "w_zero"):
            values = numpy_helper.to_array(constant)
            constant.CopyFrom(numpy_helper.from_array(values - values.dtype.type(1), constant.name))
    return form
