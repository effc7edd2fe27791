from __future__ import annotations

import time
from pathlib import Path

import dask
import pytest
from distributed import Client

from quantize.sweep.cluster import local_cluster
from tests.sweep.jobs import kill_worker

pytestmark = pytest.mark.long


def test_a_worker_that_takes_long_to_be_started_again_keeps_its_place(tmp_path: Path) -> None:
    """Dask gives a worker up that is away for a time; starting one takes longer than that on a busy machine."""
    settings = {"distributed.deploy.lost-worker-timeout": "1ms", "temporary-directory": str(tmp_path)}
    with dask.config.set(settings), local_cluster(1) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1)
        killed = set(client.scheduler_info()["workers"])
        job = client.submit(kill_worker, None)
        until = time.monotonic() + 120
        while not set(client.scheduler_info()["workers"]) - killed and time.monotonic() < until:
            time.sleep(0.1)
        job.cancel()
        assert set(client.scheduler_info()["workers"]) - killed, "the worker was not started again"
