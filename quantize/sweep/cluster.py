"""The workers of a sweep: those of a scheduler, or processes of this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from quantize.errors import ConfigError, RunError
from quantize.provenance import versions
from quantize.sweep.config import SweepConfig
from quantize.sweep.marks import PLUGIN, Marks, WorkerFacts, is_there, workers_of

_LOG = logging.getLogger("quantize")

_HERE = "127.0.0.1"
_CONNECT_SECONDS = 15
_SAME = ("quantize", "onnxruntime")
"""Packages whose versions have to be those of the sweep: the others only have to be there."""


@contextmanager
def connected(config: SweepConfig) -> Iterator[Client]:
    """Yield a client of the sweep's scheduler, with at least one worker.

    Without a scheduler, processes of this machine are started, which only this machine reaches; the first one is marked
    as ``benchmark``, so that nothing else of the sweep runs while it measures.

    Raises:
        RunError: The scheduler does not answer, or has no worker.
    """
    if config.scheduler is None:
        with _quiet(), _local(config.local_workers) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    with _quiet():
        try:
            client = Client(config.scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RunError(
                "the scheduler does not answer",
                where=config.scheduler,
                found=str(error).splitlines()[0],
                expected="a running `dask scheduler`",
                advice="start it, or leave --scheduler out for processes of this machine",
            ) from None
        with client:
            _await(lambda: bool(client.scheduler_info()["workers"]), config)
            yield client


def _local(workers: int) -> SpecCluster:
    """Return a scheduler in this process, and workers in processes of their own, started again when they die."""
    plain = {"host": _HERE, "nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": logging.CRITICAL}
    specs: dict[str, Any] = {
        f"{number}": {"cls": Nanny, "options": {**plain, **({"resources": {"benchmark": 1}} if number == 0 else {})}}
        for number in range(workers)
    }
    options = {"host": _HERE, "port": 0, "dashboard": False, "dashboard_address": f"{_HERE}:0"}
    return SpecCluster(workers=specs, scheduler={"cls": Scheduler, "options": options}, silence_logs=logging.CRITICAL)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own lines off the terminal: what matters of them is told by the sweep."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with dask.config.set({"distributed.worker.daemon": False, "distributed.admin.tick.limit": "1h"}):
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def marked(client: Client, config: SweepConfig, paths: Sequence[Path]) -> Iterator[tuple[WorkerFacts, ...]]:
    """Mark the workers of a sweep, those too that join later, and yield those that are there.

    What no worker finds is no worker's fault: the runs that need it tell so.

    Args:
        client: Connected to their scheduler.
        config: Names those that are marked as ``benchmark``.
        paths: What the sweep reads.

    Raises:
        ConfigError: No worker is marked as ``benchmark``.
        RunError: A worker has other versions, or has not installed this package.
    """
    found = _there(client, paths)
    needed = tuple(path for number, path in enumerate(paths) if any(each[number] for each in found.values()))
    client.register_plugin(Marks(config.benchmark, needed), name=PLUGIN)
    try:
        workers = workers_of(client)
        _require_same_versions(workers)
        for worker in workers:
            if worker.missing:
                _LOG.warning("worker %s gets no work, it does not find: %s", worker.name, ", ".join(worker.missing))
        _require_benchmark(workers)
        yield workers
    finally:
        client.unregister_worker_plugin(PLUGIN)


def _there(client: Client, paths: Sequence[Path]) -> dict[str, list[bool]]:
    try:
        found: dict[str, list[bool]] = client.run(_are_there, list(paths))
    except (ImportError, AttributeError) as error:
        raise RunError(
            "a worker has not installed quantize",
            where="a worker",
            found=str(error),
            expected=f"quantize {versions()['quantize']} with the extra `sweep` on every worker",
            advice="install it there, and start the worker again",
        ) from None
    return found


def _are_there(paths: Sequence[Path]) -> list[bool]:
    return [is_there(path) for path in paths]


def _require_same_versions(workers: Sequence[WorkerFacts]) -> None:
    own = versions()
    for worker in workers:
        other = [f"{name} {worker.versions.get(name)}" for name in _SAME if worker.versions.get(name) != own.get(name)]
        if other:
            raise RunError(
                "a worker has other versions than the sweep",
                where=f"worker {worker.name}",
                found=", ".join(other),
                expected=", ".join(f"{name} {own.get(name)}" for name in _SAME),
                advice="install the same versions everywhere: figures of different ones do not belong into one report",
            )


def _require_benchmark(workers: Sequence[WorkerFacts]) -> None:
    marked = [worker for worker in workers if worker.benchmark]
    if not marked:
        raise ConfigError(
            "no worker is marked as `benchmark`, and latency is measured on such only",
            where="benchmark",
            found="the workers " + ", ".join(worker.name for worker in workers[:10]),
            expected="a worker that was started with --resources benchmark=1, or its name under `benchmark`",
            advice="mark one worker on each quiet machine",
        )
    if all(worker.missing for worker in marked):
        first = marked[0]
        raise RunError(
            "no worker that is marked as `benchmark` finds what the sweep reads",
            where=f"worker {first.name}",
            found="no " + ", no ".join(first.missing),
            expected="the models and images in the same place on every worker",
            advice="mount them there, or mark another worker",
        )


def _await(there: Callable[[], bool], config: SweepConfig) -> None:
    give_up = time.monotonic() + config.wait
    while not there():
        if time.monotonic() > give_up:
            raise RunError(
                "the scheduler has no worker",
                where=str(config.scheduler),
                expected=f"a worker within {config.wait:.0f} s",
                advice="start workers: dask worker ADDRESS --nthreads 1 --resources benchmark=1",
            )
        time.sleep(0.2)
