from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from quantize.calibration.layer_inputs import Window, sampling
from quantize.calibration.moment_pass import collect_second_moments


def windows_of(values, window):
    """All windows of an image as (groups, positions, inputs), from a padded copy."""
    top, left, bottom, right = window.pads
    padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right)))
    extent = [(size - 1) * step + 1 for size, step in zip(window.kernel, window.dilations, strict=True)]
    views = sliding_window_view(padded, (padded.shape[0], *extent))[0]
    views = views[:: window.strides[0], :: window.strides[1], :, :: window.dilations[0], :: window.dilations[1]]
    by_group = views.reshape(views.shape[0] * views.shape[1], window.group, -1)
    return by_group.swapaxes(0, 1)


@pytest.mark.parametrize(
    "window",
    [
        Window("plain", "x", 1, 54, (3, 3)),
        Window("pointwise", "x", 1, 6, (1, 1)),
        Window("padded", "x", 1, 54, (3, 3), pads=(1, 1, 1, 1)),
        Window("of unlike sides", "x", 2, 18, (3, 2), strides=(2, 1), pads=(0, 1, 2, 0)),
        Window("dilated", "x", 1, 24, (2, 2), pads=(2, 2, 2, 2), dilations=(2, 3)),
        Window("depthwise", "x", 6, 9, (3, 3), strides=(2, 2), pads=(1, 0, 0, 1)),
    ],
    ids=lambda window: window.node,
)
def test_what_is_sampled_is_what_the_weights_are_applied_to(window):
    values = np.random.default_rng(5).normal(size=(1, 6, 7, 8)).astype(np.float32)
    chosen = sampling(window, values.shape)
    samples = np.empty((chosen.groups, chosen.samples, chosen.inputs), np.float32)
    chosen.take(values, samples)
    whole = windows_of(values, window)
    assert chosen.samples == min(whole.shape[1], 64)
    assert np.array_equal(samples, whole[:, np.linspace(0, whole.shape[1] - 1, chosen.samples).round().astype(int)])


def test_a_depthwise_layer_whose_images_are_kept_has_the_moments_of_its_windows(small_model, images, batches_of):
    window = Window("conv1", "r0", 4, 25, (5, 5), pads=(2, 2, 2, 2))
    assert sampling(window, (1, 4, 8, 8)).is_smaller_whole
    of_images = dict(collect_second_moments(small_model, [window], batches_of(images, 3)))["conv1"]
    one_channel = Window("conv1", "r0", 1, 100, (5, 5), pads=(2, 2, 2, 2))
    of_windows = dict(collect_second_moments(small_model, [one_channel], batches_of(images, 3)))["conv1"]
    assert of_images.samples == of_windows.samples
    for channel, products in enumerate(of_images.products):
        inputs = slice(25 * channel, 25 * (channel + 1))
        assert products == pytest.approx(of_windows.products[0, inputs, inputs], rel=1e-4, abs=1e-4)
        assert of_images.means[channel] == pytest.approx(of_windows.means[0, inputs], rel=1e-4, abs=1e-5)
