"""Which workers of a sweep get what work, and what is told of those that get none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from quantize.errors import ConfigError, RunError
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.sweep.marking import marked
from quantize.sweep.marks import benchmark_of, count_with, evaluation_resource
from tests.sweep.conftest import Written, address_of

_OWN = Path("/proc/self/cwd/images")
"""A path that leads elsewhere in every process."""


@pytest.fixture
def apart(client: Client, tmp_path: Path) -> Iterator[Client]:
    """Return a client of workers of which the last, `2`, does not find the images."""
    if not Path("/proc/self/cwd").exists() or sys.platform != "linux":
        pytest.skip("no path here leads elsewhere in every process")
    (tmp_path / "images").mkdir()
    homes = client.run(os.getcwd)
    for name in ("0", "1"):
        client.run(os.chdir, str(tmp_path), workers=[address_of(client, name)])
    yield client
    for address, home in homes.items():
        client.run(os.chdir, home, workers=[address])


def test_a_worker_that_does_not_find_the_images_gets_no_work_and_is_named(
    apart: Client, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "quantize"), marked(apart, written().config, (_OWN,)) as workers:
        assert {worker.name: worker.missing for worker in workers} == {"0": (), "1": (), "2": (str(_OWN),)}
        assert count_with(apart, evaluation_resource()) == 1
        assert count_with(apart, benchmark_of(this_cpu_class())) == 1
    assert f"worker 2 gets no work, it does not find: {_OWN}" in caplog.text


def test_a_sweep_whose_worker_that_measures_does_not_find_the_images_does_not_begin(
    apart: Client, written: Written
) -> None:
    apart.run(os.chdir, "/", workers=[address_of(apart, "0")])
    with pytest.raises(RunError) as caught, marked(apart, written().config, (_OWN,)):
        pass
    assert caught.value.where == "worker 0"
    assert caught.value.found == f"no {_OWN}"


def test_what_no_worker_finds_is_no_workers_fault(client: Client, written: Written) -> None:
    with marked(client, written().config, (Path("/nowhere/at/all"),)) as workers:
        assert all(worker.missing == () for worker in workers)


def test_workers_are_marked_by_name_and_unmarked_at_the_end(client: Client, written: Written) -> None:
    own = benchmark_of(this_cpu_class())
    with marked(client, written({"benchmark": ["1*"]}).config, ()) as workers:
        assert {worker.name: worker.benchmark for worker in workers} == {"0": True, "1": True, "2": False}
        assert count_with(client, own) == 2
        assert count_with(client, evaluation_resource()) == 1
    assert count_with(client, own) == 0
    assert count_with(client, evaluation_resource()) == 0


def test_a_sweep_without_a_worker_that_measures_does_not_begin(client: Client, written: Written) -> None:
    first = address_of(client, "0")
    client.run(_set_benchmark, 0.0, workers=[first])
    try:
        with (
            pytest.raises(ConfigError, match="no worker is marked as `benchmark`"),
            marked(client, written().config, ()),
        ):
            pass
    finally:
        client.run(_set_benchmark, 1.0, workers=[first])


async def _set_benchmark(count: float, dask_worker: object) -> None:
    await dask_worker.set_resources(benchmark=count)  # type: ignore[attr-defined]
