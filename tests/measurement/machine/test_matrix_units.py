"""Whether onnxruntime's general product of bytes outruns its integer Conv."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from onnx import numpy_helper

from quantize.formats.exact import open_exact_session
from quantize.measurement.machine import matrix_units
from quantize.measurement.machine.layer_shapes import ConvShape
from quantize.measurement.machine.matrix_units import as_general_product, has_matrix_units
from quantize.measurement.machine.probe import Probe, probe_graph


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    has_matrix_units.cache_clear()
    yield
    has_matrix_units.cache_clear()


def test_both_forms_that_are_timed_compute_the_same() -> None:
    graph, data = probe_graph(Probe(ConvShape(inputs=32, outputs=16, size=(5, 5), kernel=(1, 1)), "u8s8"))
    form = as_general_product(graph)
    zero = next(constant for constant in form.graph.initializer if constant.name == "w_zero")
    assert numpy_helper.to_array(zero) == -1
    results = [open_exact_session(one).run(None, {"x": data})[0] for one in (graph, form)]
    np.testing.assert_array_equal(*results)
    assert len(np.unique(results[0])) > 1


@pytest.mark.parametrize(("blocks", "has"), [((100, 60), True), ((100, 95), False), ((100, 140), False)])
def test_they_are_there_where_the_fastest_block_of_the_product_is_shown_to_be_faster(
    monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, int], has: bool
) -> None:
    now, calls = [0], [0]

    def clock() -> int:
        # Called before and after each block: the two forms take turns, and every third pair of blocks was disturbed.
        block, ends = divmod(calls[0], 2)
        calls[0] += 1
        now[0] += ends * (blocks[block % 2] + (1000 if block // 2 % 3 == 0 else 0))
        return now[0]

    monkeypatch.setattr(matrix_units, "perf_counter_ns", clock)
    assert has_matrix_units() is has


def test_it_is_measured_once() -> None:
    assert has_matrix_units() == has_matrix_units()
    assert has_matrix_units.cache_info().misses == 1
