"""Load time and memory of each model in processes of its own."""

from __future__ import annotations

import numpy as np

from quantize.benchmark.memory import forget_peak, peak_resident_bytes, resident_bytes
from quantize.benchmark.plan import Plan
from quantize.benchmark.resources import Load, Resources, measure_resources


def test_each_model_is_loaded_in_processes_of_its_own(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny})
    found = measure_resources(plan, {"fp32": tiny_images[0], "int8": tiny_images[0]}, repeats=1)
    assert [one.name for one in found] == ["fp32", "int8"]
    for one in found:
        assert one.load_ns > 0
        assert one.first_run_ns > 0
        assert one.loads[0].before_bytes > 10_000_000
        assert one.model_bytes is None or 0 <= one.model_bytes < 100_000_000


def test_figures_are_medians_and_an_unknown_peak_stays_unknown():
    loads = [
        Load(load_ns=ns, first_run_ns=ns, before_bytes=100, loaded_bytes=150, peak_bytes=100 + ns) for ns in (5, 90, 6)
    ]
    found = Resources(name="a", loads=tuple(loads))
    assert (found.load_ns, found.first_run_ns, found.peak_bytes, found.model_bytes) == (6, 6, 106, 6)
    unknown = Resources(name="a", loads=(*loads, loads[0].model_copy(update={"peak_bytes": None})))
    assert unknown.peak_bytes is None
    assert unknown.model_bytes is None


def test_the_peak_remembers_memory_that_is_gone_until_it_is_told_to_forget():
    if not forget_peak():
        return
    before = peak_resident_bytes()
    block = np.ones(40_000_000 // 8)
    del block
    after = peak_resident_bytes()
    assert before is not None
    assert after is not None
    assert after - before > 30_000_000
    assert forget_peak()
    assert abs(peak_resident_bytes() - resident_bytes()) < 20_000_000
