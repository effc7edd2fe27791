from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quantize.calibration.collect import collect
from quantize.errors import DataError, ModelError
from quantize.grid.histogram import Histogram
from quantize.models.session import open_session


def every_tensor(model, images):
    """All tensors of the model by name, straight from a session that returns them all."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    del exposed.graph.output[:]
    exposed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = open_session(exposed.SerializeToString())
    runs = [session.run(names, {"x": image[None]}) for image in images]
    return {"x": images} | {name: np.concatenate([run[i] for run in runs]) for i, name in enumerate(names)}


@pytest.mark.parametrize("bias", [0, -1e3, 1e3], ids=["alive", "all below the bounds", "all above them"])
def test_every_tensor_is_known_as_if_all_its_values_had_been_kept(small_model, images, batches_of, bias):
    biases = numpy_helper.from_array(np.full(4, bias, np.float32), "b0")
    next(tensor for tensor in small_model.graph.initializer if tensor.name == "b0").CopyFrom(biases)
    biases = numpy_helper.from_array(np.full(6, bias, np.float32), "b2")
    next(tensor for tensor in small_model.graph.initializer if tensor.name == "b2").CopyFrom(biases)
    statistics = collect(small_model, batches_of(images, 3))
    tensors = every_tensor(small_model, images)
    assert set(statistics.tensors) == set(tensors)
    assert statistics.images == len(images)
    for name, values in tensors.items():
        tensor = statistics.tensors[name]
        assert tensor.histogram == Histogram.of(values), name
        assert tensor.minimum == values.min(), name
        assert tensor.maximum == values.max(), name
        means = values.mean(axis=tuple(axis for axis in range(values.ndim) if axis != 1))
        assert tensor.means is not None
        assert tensor.means.mean() == pytest.approx(means, rel=1e-5, abs=1e-5), name


def test_neither_batch_size_nor_order_moves_a_bit(small_model, images, batches_of):
    ascending = collect(small_model, batches_of(images, 1))
    descending = collect(small_model, batches_of(images[::-1], 4), threads=2)
    assert ascending == descending


def test_merging_two_halves_is_the_whole(small_model, images, batches_of):
    halves = [collect(small_model, batches_of(part, 2)) for part in (images[:3], images[3:])]
    whole = collect(small_model, batches_of(images, 7))
    assert halves[0].merged(halves[1]) == whole
    assert halves[1].merged(halves[0]) == whole


def test_statistics_of_different_models_do_not_merge(small_model, images, batches_of):
    statistics = collect(small_model, batches_of(images, 7))
    other = type(statistics)(tensors={"x": statistics.tensors["x"]}, images=7)
    with pytest.raises(ValueError, match="different models"):
        statistics.merged(other)


def test_no_image_is_an_error(small_model):
    with pytest.raises(DataError, match="empty"):
        collect(small_model, [])


def test_a_tensor_that_is_not_finite_is_named(small_model, images, batches_of):
    broken = images.copy()
    broken[2, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="not finite") as refused:
        collect(small_model, batches_of(broken, 2))
    assert refused.value.where == "x"


def _with_mask(small_model, mask):
    """Return the model with a mask behind its last Conv that makes some values infinite."""
    masked = onnx.ModelProto()
    masked.CopyFrom(small_model)
    pool = next(node for node in masked.graph.node if node.name == "gap")
    nodes = [
        helper.make_node("Add", ["pool", "mask"], ["masked"], "mask"),
        helper.make_node("Sigmoid", ["masked"], ["weights"], "weights"),
    ]
    position = list(masked.graph.node).index(pool)
    pool.input[0] = "weights"
    for offset, node in enumerate(nodes):
        masked.graph.node.insert(position + offset, node)
    masked.graph.initializer.append(numpy_helper.from_array(mask, "mask"))
    return masked


def test_a_tensor_with_infinities_has_no_statistics_and_the_others_do(small_model, images, batches_of):
    masked = _with_mask(small_model, np.where(np.arange(3) == 0, -np.inf, 0.0).astype(np.float32))
    statistics = collect(masked, batches_of(images, 2))
    assert statistics.unbounded == {"masked"}
    assert statistics.tensors["weights"].minimum == 0.0
    assert statistics.tensors["weights"].means is not None
    halves = [collect(masked, batches_of(part, 2)) for part in (images[:3], images[3:])]
    assert halves[0].merged(halves[1]) == statistics


@pytest.mark.parametrize(("scale", "held"), [(0.0, True), (1e-30, True), (1e-36, False)])
def test_a_tensor_whose_values_are_all_next_to_zero_has_no_statistics(small_model, images, batches_of, scale, held):
    model = _with_mask(small_model, np.zeros(3, np.float32))
    added = next(node for node in model.graph.node if "masked" in node.output)
    added.op_type = "Mul"
    mask = next(tensor for tensor in model.graph.initializer if tensor.name in added.input)
    mask.CopyFrom(numpy_helper.from_array(np.full(3, scale, np.float32), mask.name))
    model.graph.node.append(helper.make_node("Relu", ["masked"], ["rectified"], "rectified"))
    model.graph.node.append(helper.make_node("Concat", ["masked", "pool"], ["both"], "both", axis=1))
    statistics = collect(model, batches_of(images, 2))
    for name in ("masked", "rectified"):  # what is derived too
        assert (name in statistics.tensors) == held
        assert (name in statistics.unbounded) == (not held)
    assert statistics.tensors["both"].maximum == statistics.tensors["pool"].maximum


def test_a_tensor_without_values_has_no_statistics(small_model, images, batches_of):
    model = onnx.ModelProto()
    model.CopyFrom(small_model)
    bounds = [helper.make_node("Slice", ["pool", "zero", "zero", "channels"], ["none"], "none")]
    bounds.append(helper.make_node("Concat", ["pool", "none"], ["same"], "same", axis=1))
    position = [node.name for node in model.graph.node].index("gap")
    model.graph.node[position].input[0] = "same"
    for offset, node in enumerate(bounds):
        model.graph.node.insert(position + offset, node)
    stored = {"zero": np.array([0]), "channels": np.array([1])}
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in stored.items())
    statistics = collect(model, batches_of(images, 2))
    assert "none" in statistics.unbounded
    assert statistics.tensors["pool"].maximum > 0


def test_progress_is_reported_after_every_image(small_model, images, batches_of):
    progress = []
    collect(small_model, batches_of(images, 3), progress=lambda stage, done, total: progress.append(done))
    assert progress == list(range(1, len(images) + 1))


def test_a_model_of_a_fixed_batch_gives_the_same_statistics(small_model, images, batches_of):
    fixed = onnx.ModelProto.FromString(small_model.SerializeToString())
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    assert collect(fixed, batches_of(images, 3)) == collect(small_model, batches_of(images, 3))
