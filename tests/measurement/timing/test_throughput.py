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
    found = in_batches(images, size)
    assert len(found) == count
    assert np.concatenate(found)[:, 0].tolist() == [number % 10 for number in range(size * count)]


def test_every_batch_size_is_measured_with_its_own_iterations(tiny, tiny_images):
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", control=False, iteration=240, precision=1)
    found = measure_batch_sizes(plan, {"fp32": tiny_images, "int8": tiny_images}, [1, 4])
    assert [one.batch_size for one in found] == [1, 4]
    for one, runs in zip(found, (240, 60), strict=True):
        assert one.measurement is not None
        figure = latency(one.measurement, "int8")
        assert one.measurement.environment.batch_size == figure.batch_size == one.batch_size
        assert runs <= figure.runs < 2 * runs


def test_batches_that_have_their_size_already_are_left_as_they_are():
    images = [np.full((4, 2), number) for number in range(3)]
    assert all(found is image for found, image in zip(in_batches(images, 4), images, strict=True))


def test_a_model_with_a_fixed_batch_says_so_at_every_other_size(tiny, tiny_images, tmp_path):
    model = onnx.load(tiny)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    fixed = tmp_path / "fixed.onnx"
    onnx.save(model, fixed)
    plan = Plan(models={"any": tiny, "fixed": fixed}, iteration=60, precision=1)
    one, four = measure_batch_sizes(plan, {"any": tiny_images, "fixed": tiny_images}, [1, 4])
    assert one.measurement is not None
    assert one.refused is None
    assert four.measurement is None
    assert four.refused == "fixed takes 1 a run, no other number"
