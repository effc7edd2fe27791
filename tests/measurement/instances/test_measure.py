"""Several processes at once on cores of their own."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.errors import MeasurementError
from quantize.measurement.instances.measure import measure_instances, place_instances
from quantize.measurement.instances.measurement import (
    InstanceMeasurement,
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
        for block, following in zip(instance.blocks, instance.blocks[1:], strict=False):
            assert block.start_ns + sum(block.runs_ns) < following.start_ns + pair.phase_seconds * 1e9


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


def cores_of(placements) -> list[tuple[int, ...]]:
    return [placement.cores for placement in placements]


def test_two_instances_of_one_core_on_a_machine_of_two():
    placements = place_instances(2, 1, cores=(0, 1), nodes=((0, 1),))
    assert cores_of(placements) == [(0,), (1,)]
    assert [placement.node for placement in placements] == [0, 0]


def test_instances_are_spread_over_nodes_and_none_crosses_one():
    placements = place_instances(4, 3, cores=range(16), nodes=(range(8), range(8, 16)))
    assert cores_of(placements) == [(0, 1, 2), (8, 9, 10), (3, 4, 5), (11, 12, 13)]
    assert [placement.node for placement in placements] == [0, 1, 0, 1]


def test_an_instance_larger_than_any_node_crosses_them_and_says_so():
    placements = place_instances(1, 6, cores=range(8), nodes=(range(4), range(4, 8)))
    assert placements[0].node is None


def test_physical_cores_come_before_hyper_threads():
    siblings = {core: (core % 4, core % 4 + 4) for core in range(8)}
    apart = place_instances(4, 1, cores=range(8), siblings=siblings)
    assert cores_of(apart) == [(0,), (1,), (2,), (3,)]
    assert not any(placement.shares_core for placement in apart)
    together = place_instances(8, 1, cores=range(8), siblings=siblings)
    assert all(placement.shares_core for placement in together)


def test_only_cores_that_the_process_may_use_are_given():
    assert cores_of(place_instances(2, 1, cores=(3, 5), nodes=(range(4), range(4, 8)))) == [(3,), (5,)]


@given(st.integers(1, 6), st.integers(1, 4), st.sets(st.integers(0, 31), min_size=1, max_size=32))
def test_no_core_is_given_twice_and_too_many_are_refused(instances, threads, cores):
    nodes = (range(16), range(16, 32))
    if instances * threads > len(cores):
        with pytest.raises(MeasurementError) as caught:
            place_instances(instances, threads, cores=sorted(cores), nodes=nodes)
        assert str(instances * threads) in str(caught.value)
        assert str(len(cores)) in str(caught.value)
        return
    given_away = [
        core for own in place_instances(instances, threads, cores=sorted(cores), nodes=nodes) for core in own.cores
    ]
    assert len(given_away) == len(set(given_away)) == instances * threads
    assert set(given_away) <= cores
