"""The joint throughput of several instances."""

from __future__ import annotations

import os

import pytest

from quantize.measurement.instances.measure import measure_instances
from quantize.measurement.instances.measurement import (
    InstanceMeasurement,
    images_per_second,
    instance_latency,
    throughput_speedups,
)
from quantize.measurement.timing.plan import Plan

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and affinity"
)


@pytest.fixture(scope="module")
def pair(tiny, tiny_images) -> InstanceMeasurement:
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", control=False, max_seconds=1, warmup=1)
    return measure_instances(plan, {"fp32": tiny_images, "int8": tiny_images}, 2)


def test_throughput_is_the_sum_over_instances(pair):
    alone = [instance_latency(pair, index, "int8").images_per_second for index in (0, 1)]
    assert images_per_second(pair, "int8") == pytest.approx(sum(alone))
    with pytest.raises(KeyError):
        images_per_second(pair, "int4")


def test_the_throughput_speed_up_is_paired_and_has_an_interval(pair):
    ratios = throughput_speedups(pair)
    assert [each.candidate for each in ratios] == ["int8"]
    assert all(each.rounds == 8 and each.low is not None and each.low <= each.ratio <= each.high for each in ratios)


def test_a_measurement_of_instances_survives_json(pair):
    assert InstanceMeasurement.model_validate_json(pair.model_dump_json()) == pair
