from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from quantize.calibration import moment_pass
from quantize.calibration.layer_inputs import Window
from quantize.calibration.moment_pass import collect_second_moments
from quantize.models.session import open_session
from quantize.models.weights_apart import WeightsApart


def test_moments_tell_how_much_a_change_of_the_weights_moves_the_output(small_model, images, batches_of):
    """mean((D x)^2) over the output of conv2, with all 16 positions of each image sampled."""
    window = Window("conv2", "r0", 1, 36, (3, 3), strides=(2, 2))
    moments = dict(collect_second_moments(small_model, [window], batches_of(images, 3)))["conv2"]
    change = np.random.default_rng(3).normal(0, 0.1, (6, 4, 3, 3)).astype(np.float32)
    expected = np.einsum("ok,gkl,ol->o", change.reshape(6, -1), moments.raw(), change.reshape(6, -1))
    assert expected == pytest.approx(squared_output(small_model, images, "w2", change), rel=1e-4)


def test_grouped_convolutions_have_moments_by_group(small_model, images, batches_of):
    window = Window("conv1", "r0", 4, 9, (3, 3), strides=(2, 2))
    moments = dict(collect_second_moments(small_model, [window], batches_of(images, 3)))["conv1"]
    change = np.random.default_rng(3).normal(0, 0.1, (4, 1, 3, 3)).astype(np.float32)
    rows = change.reshape(4, -1)
    expected = np.einsum("gk,gkl,gl->g", rows, moments.raw(), rows)
    assert expected == pytest.approx(squared_output(small_model, images, "w1", change), rel=1e-4)


def test_the_central_moments_are_a_covariance(small_model, images, batches_of):
    window = Window("gemm", "flat", 1, 6, None)
    moments = dict(collect_second_moments(small_model, [window], batches_of(images, 2)))["gemm"]
    session = open_session(small_model.SerializeToString())
    weights = next(numpy_helper.to_array(t) for t in small_model.graph.initializer if t.name == "w3")
    scores = np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])
    assert np.einsum("ok,kl,ol->o", weights, moments.central()[0], weights) == pytest.approx(
        scores.var(axis=0), rel=1e-3
    )


def test_a_layer_that_reads_the_image_needs_nothing_else(small_model, images, batches_of):
    window = Window("conv0", "x", 1, 27, (3, 3))
    moments = dict(collect_second_moments(small_model, [window], batches_of(images, 3)))["conv0"]
    assert moments.means[0].reshape(3, -1).mean(axis=1) == pytest.approx(images.mean(axis=(0, 2, 3)), abs=0.1)


def test_large_layers_are_collected_in_passes_of_their_own_to_the_same_bits(
    small_model, images, batches_of, monkeypatch
):
    layers = [Window("conv2", "r0", 1, 36, (3, 3), strides=(2, 2)), Window("conv1", "r0", 4, 9, (3, 3), strides=(2, 2))]
    together = dict(collect_second_moments(small_model, layers, batches_of(images, 3)))
    monkeypatch.setattr(moment_pass, "_PASS_BYTES", 0)
    monkeypatch.setattr(moment_pass, "_TIMES_WEIGHTS", 0)
    seen: list[int] = []
    apart = dict(
        collect_second_moments(
            small_model, layers, batches_of(images, 3), progress=lambda _stage, done, _total: seen.append(done)
        )
    )
    assert seen == list(range(1, 2 * len(images) + 1))
    assert list(apart) == list(together)
    for node, moments in apart.items():
        assert np.array_equal(moments.products, together[node].products)
        assert np.array_equal(moments.means, together[node].means)


def test_convs_of_many_groups_and_few_inputs_share_a_pass():
    """Three depthwise layers of EfficientNet-Lite0, 19 MB: each would be alone if it kept as many samples as others."""
    layers = [Window(str(at), "x", 1152, 25, (5, 5)) for at in range(3)]
    assert len(list(moment_pass._parts(layers, 19_000_000))) == 1


def test_nothing_behind_the_last_layer_is_run(small_model, images, batches_of, monkeypatch):
    opened = []
    made = WeightsApart.open

    def watched(apart, model, **how):
        opened.extend(node.name for node in model.graph.node)
        return made(apart, model, **how)

    monkeypatch.setattr(WeightsApart, "open", watched)
    assert dict(collect_second_moments(small_model, [Window("conv1", "r0", 4, 9, (3, 3))], batches_of(images, 3)))
    every = [node.name for node in small_model.graph.node]
    last = next(at for at, node in enumerate(small_model.graph.node) if "r0" in node.output)
    assert opened == every[: last + 1] != every


def squared_output(model, images, weight, values):
    """Mean square, by channel, of the output of the Conv with other weights and no bias."""
    changed = type(model).FromString(model.SerializeToString())
    for tensor in changed.graph.initializer:
        if tensor.name == weight:
            tensor.CopyFrom(numpy_helper.from_array(values, weight))
    node = next(node for node in changed.graph.node if weight in node.input)
    del node.input[2:]
    value = changed.graph.output.add()
    value.name = node.output[0]
    session = open_session(changed.SerializeToString())
    outputs = np.concatenate([session.run([node.output[0]], {"x": image[None]})[0] for image in images])
    return (outputs.astype(np.float64) ** 2).mean(axis=(0, 2, 3))


def test_moments_of_two_halves_merge_to_those_of_the_whole(small_model, images, batches_of):
    window = Window("conv2", "r0", 1, 36, (3, 3), strides=(2, 2))
    parts = [
        dict(collect_second_moments(small_model, [window], batches_of(part, 2)))["conv2"]
        for part in (images[:3], images[3:])
    ]
    whole = dict(collect_second_moments(small_model, [window], batches_of(images, 2)))["conv2"]
    merged = parts[0].merged(parts[1])
    assert merged.samples == whole.samples
    assert merged.products == pytest.approx(whole.products, rel=1e-5, abs=1e-6)
    assert merged.means == pytest.approx(whole.means, rel=1e-5, abs=1e-6)
