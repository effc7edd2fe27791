"""Several processes at once on cores of their own."""

from __future__ import annotations

import os
import signal

import pytest

from quantize.errors import MeasurementError
from quantize.measurement.instances.measure import measure_instances
from quantize.measurement.instances.measurement import (
    InstanceMeasurement,
    images_per_second,
    instance_latency,
    throughput_speedups,
)
from quantize.measurement.machine.resources import as_measurement_error
from quantize.measurement.timing.plan import Plan
from quantize.processes.child import ChildError, ChildProcess

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and affinity"
)


@pytest.fixture(scope="module")
def pair(tiny, tiny_images) -> InstanceMeasurement:
    plan = Plan(models={"fp32": tiny, "int8": tiny}, baseline="fp32", control=False, max_seconds=1, warmup=1)
    return measure_instances(plan, {"fp32": tiny_images, "int8": tiny_images}, 2)


def test_two_instances_of_one_core_report_both_and_their_affinity(pair):
    own = [instance.affinity for instance in pair.instances]
    assert [instance.index for instance in pair.instances] == [0, 1]
    assert own == [instance.placement.cores for instance in pair.instances]
    assert len(own[0]) == len(own[1]) == 1
    assert own[0] != own[1]


def test_all_instances_run_the_same_contestant_from_the_same_moment(pair):
    phases = [[(b.contestant, b.round, b.position, b.start_ns) for b in i.blocks] for i in pair.instances]
    assert phases[0] == phases[1]
    assert len(phases[0]) == 8 * 4


def test_no_run_of_an_instance_begins_before_the_phase_of_all(pair):
    for instance in pair.instances:
        for one, following in zip(instance.blocks, instance.blocks[1:], strict=False):
            assert one.start_ns + sum(one.runs_ns) < following.start_ns + pair.phase_seconds * 1e9


def test_throughput_is_the_sum_over_instances(pair):
    alone = [instance_latency(pair, index, "int8").images_per_second for index in (0, 1)]
    assert images_per_second(pair, "int8") == pytest.approx(sum(alone))
    with pytest.raises(KeyError):
        images_per_second(pair, "int4")


def test_the_throughput_speed_up_is_paired_and_has_an_interval(pair):
    found = throughput_speedups(pair)
    assert [one.candidate for one in found] == ["int8"]
    assert all(one.rounds == 8 and one.low is not None and one.low <= one.ratio <= one.high for one in found)


def test_a_measurement_of_instances_survives_json(pair):
    assert InstanceMeasurement.model_validate_json(pair.model_dump_json()) == pair


def test_more_instances_than_cores_are_refused_with_the_number(tiny, tiny_images):
    cores = len(os.sched_getaffinity(0))
    plan = Plan(models={"only": tiny}, threads=cores)
    with pytest.raises(MeasurementError, match="more cores than there are") as caught:
        measure_instances(plan, {"only": tiny_images}, 2)
    assert f"at most {cores}" in str(caught.value)


WORKER = "quantize.measurement.instances.worker:run_instance"


def test_an_instance_that_is_killed_is_an_error_that_names_the_signal():
    with ChildProcess(WORKER, name="instance 0") as child:
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(MeasurementError, match="ended from outside") as caught, as_measurement_error():
            child.receive()
    assert "SIGKILL in instance 0" in str(caught.value)


def test_an_instance_that_fails_gives_its_own_traceback():
    with ChildProcess(WORKER) as child:
        child.send({})
        with pytest.raises(ChildError, match="KeyError: 'cores'"), as_measurement_error():
            child.receive()
