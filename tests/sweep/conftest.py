"""A cluster of three worker processes on loopback: `0` measures latency, `1` and `2` evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dask
import pytest
import yaml
from distributed import Client, SpecCluster

from quantize.config import RunConfig
from quantize.sweep.cluster import local_cluster
from quantize.sweep.config import read_sweep
from quantize.sweep.marking import marked
from quantize.sweep.sweep import SweepRequest

Written = Callable[..., SweepRequest]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpecCluster]:
    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "temporary-directory": str(tmp_path_factory.mktemp("dask")),
    }
    with dask.config.set(settings), local_cluster(3) as started:
        yield started


@pytest.fixture
def client(cluster: SpecCluster) -> Iterator[Client]:
    with Client(cluster, set_as_default=False) as connected:
        connected.wait_for_workers(3)
        yield connected


@pytest.fixture
def measuring() -> tuple[str, ...]:
    """Return the names of workers that are marked as `benchmark` besides the first."""
    return ()


@pytest.fixture
def marked_client(client: Client, written: Written, measuring: tuple[str, ...]) -> Iterator[Client]:
    with marked(client, written({"benchmark": [*measuring]}).config, ()):
        yield client


@pytest.fixture
def written(
    tmp_path: Path, colour_model: Path, colour_images: tuple[Path, Path], configured: Callable[..., RunConfig]
) -> Written:
    """Return a maker of sweeps of the small classifier, from a file with some settings changed."""

    def make(changes: Mapping[str, object] | None = None, **request: object) -> SweepRequest:
        settings, file = tmp_path / "settings.yaml", tmp_path / "sweep.yaml"
        settings.write_text(configured({"data.path": None, "data.labels": None}).to_yaml())
        data, labels = map(str, colour_images)
        values = {
            "output": str(tmp_path / "sweep"),
            "models": [str(colour_model)],
            "configs": [str(settings)],
            "data": {"path": data, "labels": labels},
            "shard": 32,
            "wait": 120,
            **(changes or {}),
        }
        file.write_text(yaml.safe_dump(values))
        return SweepRequest(read_sweep(file, {}), **request)  # type: ignore[arg-type]

    return make


def address_of(client: Client, name: str) -> str:
    """Return where a worker listens now."""
    workers = client.scheduler_info()["workers"]
    return next(str(address) for address, info in workers.items() if str(info["name"]) == name)
