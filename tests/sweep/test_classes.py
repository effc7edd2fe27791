"""A sweep on workers of two classes of CPUs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from distributed import Client, SpecCluster

from quantize.measurement.machine.cpu_class import CPU_CLASS, this_cpu_class
from quantize.sweep.sweep import sweep
from tests.sweep.conftest import Written, address_of

pytestmark = pytest.mark.long


@pytest.fixture
def other_class(client: Client) -> Iterator[str]:
    """Let worker `1` claim another class of CPUs, and return that."""
    name, address = "avx2" if this_cpu_class() != "avx2" else "vnni", address_of(client, "1")
    client.run(_claim, name, workers=[address])
    yield name
    client.run(_claim, None, workers=[address])


def _claim(name: str | None) -> None:
    if name is None:
        del os.environ[CPU_CLASS]
    else:
        os.environ[CPU_CLASS] = name


def test_a_run_is_timed_on_every_class_that_a_worker_measures_on_and_a_rerun_adds_a_column(
    cluster: SpecCluster, other_class: str, written: Written
) -> None:
    own, changes = this_cpu_class(), {"scheduler": cluster.scheduler_address}
    first = sweep(written(changes)).report
    assert first.classes == (own,)
    report = sweep(written({**changes, "benchmark": ["1"]})).report
    assert report.classes == tuple(sorted((own, other_class)))
    (run,) = report.runs
    assert run.models == first.runs[0].models  # it was not tuned again
    assert run.times.worker is None
    assert {(speed.cpu_class, speed.target) for speed in run.times.speed} == {(own, True), (other_class, False)}
    assert {worker.name for worker in report.workers if worker.claimed} == {"1"}


def test_a_run_for_a_target_is_tuned_on_that_class_and_timed_on_the_other(
    cluster: SpecCluster, other_class: str, written: Written
) -> None:
    changes = {"scheduler": cluster.scheduler_address, "benchmark": ["1"], "targets": [this_cpu_class()]}
    result = sweep(written(changes))
    (file,) = (result.folder / "latency").iterdir()
    assert file.name.endswith(f".{other_class}.json")
    assert json.loads(file.read_text(encoding="utf-8"))["cpu_class"] == other_class
    assert result.report.runs[0].times.worker == "0"
    file.write_text("{", encoding="utf-8")  # damaged, or of another version: it is measured again
    assert len(sweep(written(changes)).report.runs[0].times.speed) == len(result.report.runs[0].times.speed)
    assert json.loads(file.read_text(encoding="utf-8"))["cpu_class"] == other_class
