"""Load time and memory of each model in processes of its own."""

from __future__ import annotations

import pytest

from quantize.errors import ModelError
from quantize.measurement.machine.loads import Load, Resources
from quantize.measurement.machine.resources import measure_resources
from quantize.measurement.timing.plan import Plan


def test_each_model_is_loaded_in_processes_of_its_own(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny})
    resources = measure_resources(plan, {"fp32": tiny_images[0], "int8": tiny_images[0]}, repeats=1)
    assert [model.name for model in resources] == ["fp32", "int8"]
    for model in resources:
        assert model.load_ns > 0
        assert model.first_run_ns > 0
        assert model.loads[0].before_bytes > 10_000_000
        assert model.model_bytes is None or 0 <= model.model_bytes < 100_000_000


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_user(tmp_path, tiny_images):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        measure_resources(Plan(models={"fp32": broken}), {"fp32": tiny_images[0]}, repeats=1)


def test_figures_are_medians_and_an_unknown_peak_stays_unknown():
    loads = [
        Load(load_ns=ns, first_run_ns=ns, before_bytes=100, loaded_bytes=150, peak_bytes=100 + ns) for ns in (5, 90, 6)
    ]
    resources = Resources(name="a", loads=tuple(loads))
    assert (resources.load_ns, resources.first_run_ns, resources.peak_bytes, resources.model_bytes) == (6, 6, 106, 6)
    unknown = Resources(name="a", loads=(*loads, loads[0].model_copy(update={"peak_bytes": None})))
    assert unknown.peak_bytes is None
    assert unknown.model_bytes is None
