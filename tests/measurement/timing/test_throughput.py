"""Images a second over batch sizes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from quantize.measurement.timing.measurement import latency
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.throughput import in_batches, measure_batch_sizes


@pytest.mark.parametrize(("size", "count"), [(1, 10), (3, 4), (4, 4), (16, 4)])
def test_batches_hold_the_images_round_and_round(size, count):
    images = [np.full((1, 2), number) for number in range(10)]
    batches = in_batches(images, size)
    assert len(batches) == count
    assert np.concatenate(batches)[:, 0].tolist() == [number % 10 for number in range(size * count)]


def test_every_batch_size_is_measured_with_its_own_iterations(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", control=False, iteration=240, precision=1)
    batches = measure_batch_sizes(plan, {"fp32": tiny_images, "int8": tiny_images}, [1, 4])
    assert [each.batch_size for each in batches] == [1, 4]
    for each, runs in zip(batches, (240, 60), strict=True):
        assert each.measurement is not None
        figure = latency(each.measurement, "int8")
        assert each.measurement.environment.batch_size == figure.batch_size == each.batch_size
        assert runs <= figure.runs < 2 * runs


def test_batches_that_have_their_size_already_are_left_as_they_are():
    images = [np.full((4, 2), number) for number in range(3)]
    assert all(batches is image for batches, image in zip(in_batches(images, 4), images, strict=True))


def test_a_model_with_a_fixed_batch_says_so_at_every_other_size(tiny, tiny_images, tmp_path):
    model = onnx.load(tiny)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    fixed = tmp_path / "fixed.onnx"
    onnx.save(model, fixed)
    plan = Plan(models={"any": tiny, "fixed": fixed}, iteration=60, precision=1)
    each, four = measure_batch_sizes(plan, {"any": tiny_images, "fixed": tiny_images}, [1, 4])
    assert each.measurement is not None
    assert each.refused is None
    assert four.measurement is None
    assert four.refused == "fixed takes 1 a run, no other number"
