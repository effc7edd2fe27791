"""Cores of their own for every instance, near each other where the machine has nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.errors import MeasurementError
from quantize.measurement.instances.measure import place_instances


def cores_of(placements) -> list[tuple[int, ...]]:
    return [placement.cores for placement in placements]


def test_two_instances_of_one_core_on_a_machine_of_two():
    found = place_instances(2, 1, cores=(0, 1), nodes=((0, 1),))
    assert cores_of(found) == [(0,), (1,)]
    assert [placement.node for placement in found] == [0, 0]


def test_instances_are_spread_over_nodes_and_none_crosses_one():
    found = place_instances(4, 3, cores=range(16), nodes=(range(8), range(8, 16)))
    assert cores_of(found) == [(0, 1, 2), (8, 9, 10), (3, 4, 5), (11, 12, 13)]
    assert [placement.node for placement in found] == [0, 1, 0, 1]


def test_an_instance_larger_than_any_node_crosses_them_and_says_so():
    found = place_instances(1, 6, cores=range(8), nodes=(range(4), range(4, 8)))
    assert found[0].node is None


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
