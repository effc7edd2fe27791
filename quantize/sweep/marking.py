"""Mark the workers of a sweep, and refuse those that cannot do its work."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

from quantize.errors import ConfigError, RunError
from quantize.provenance import versions
from quantize.sweep.config import SweepConfig
from quantize.sweep.marks import PLUGIN, Marks, WorkerFacts, is_there, workers_of

_LOG = logging.getLogger("quantize")

_SAME = ("quantize", "onnxruntime")
"""Packages whose versions have to be those of the sweep: the others only have to be there."""


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
