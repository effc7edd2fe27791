"""Times of layers that tests choose, and layers of real models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from quantize.measurement.machine.layer_shapes import ConvShape, GemmShape
from quantize.measurement.machine.model_layers import ModelLayer
from quantize.measurement.machine.probe import Probe
from quantize.measurement.machine.probe_rates import ProbeTimes

Nanoseconds = Callable[[Probe, int], float]


@pytest.fixture
def timed() -> Callable[[Nanoseconds], ProbeTimes]:
    """Return a function that makes a measurement of layers from times by layer and threads."""

    def make(nanoseconds: Nanoseconds) -> ProbeTimes:
        def times(probes: Sequence[Probe], threads: int) -> tuple[tuple[int, ...], ...]:
            return tuple(
                (round(nanoseconds(probe, threads)), round(nanoseconds(probe, threads) * 2)) * 3 for probe in probes
            )

        return times

    return make


def _layer(name: str, shape: ConvShape | GemmShape) -> ModelLayer:
    return ModelLayer(name, shape.kind, shape.multiply_adds, shape)


@pytest.fixture(scope="session")
def layers() -> tuple[ModelLayer, ...]:
    """Return some layers of SqueezeNet and EfficientNet-Lite0."""
    return (
        _layer("conv1", ConvShape(3, 64, (3, 3), (224, 224), strides=(2, 2))),
        _layer("fire2/squeeze1x1", ConvShape(64, 16, (1, 1), (55, 55))),
        _layer("fire2/expand3x3", ConvShape(16, 64, (3, 3), (55, 55), pads=(1, 1, 1, 1))),
        _layer("fire3/expand3x3", ConvShape(16, 64, (3, 3), (55, 55), pads=(1, 1, 1, 1))),
        _layer("/blocks.6/depthwise/Conv", ConvShape(480, 480, (3, 3), (14, 14), pads=(1, 1, 1, 1), group=480)),
        _layer("/fc/Gemm", GemmShape(1, 1280, 1000)),
    )
