"""What each worker of a sweep may do, as Dask resources, and what is known of it.

A worker that is marked as ``benchmark`` tunes, one run at a time and nothing else: latency is measured there. All
others evaluate, for runs on CPUs whose float kernels give the same bits.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from distributed import Client, Future, Status, Worker, WorkerPlugin

from quantize.measurement.machine.cpu_class import CPU_CLASS, instruction_sets, this_cpu_class
from quantize.processes.pool import available_cpus
from quantize.provenance import versions
from quantize.target import CpuClass

BENCHMARK = "benchmark"
"""The resource of a worker that measures latency; ``dask worker --resources benchmark=1`` marks it too."""

PLUGIN = "quantize-sweep"
_ATTRIBUTE = "quantize_worker"
LOSSES = 3
"""How many workers may be lost with a task before it is taken for what ends them."""

_KERNELS = ("quantize", "onnxruntime", "numpy")


@dataclass(frozen=True)
class WorkerFacts:
    """A worker of a sweep.

    Attributes:
        name: What Dask calls it.
        address: Where it listens.
        cpu_class: The class of its CPU.
        claimed: Whether the environment variable QUANTIZE_CPU_CLASS names that class, whatever the CPU is.
        cores: Cores that it may run on.
        benchmark: Whether latency is measured there.
        evaluates: The resource of the evaluations that it may take a part in.
        missing: What it does not find of what the sweep reads.
        versions: Package to version.
    """

    name: str
    address: str
    cpu_class: CpuClass
    claimed: bool
    cores: int
    benchmark: bool
    evaluates: str
    missing: tuple[str, ...]
    versions: Mapping[str, str]


def benchmark_of(cpu_class: CpuClass) -> str:
    """Return the resource of workers that measure latency on a class of CPUs."""
    return f"{BENCHMARK}-{cpu_class}"


def evaluation_resource() -> str:
    """Return the resource of workers whose scores are those of this machine, bit for bit.

    Float kernels differ between instruction sets, and between versions.
    """
    own = versions()
    parts = [*(f"{name} {own[name]}" for name in _KERNELS if name in own), *sorted(instruction_sets())]
    return "evaluate: " + ", ".join(parts)


class Marks(WorkerPlugin):  # type: ignore[misc]
    """Marks workers when they join, those that are started again too.

    Args:
        patterns: Names of the workers that are marked as ``benchmark``, besides those that were started so.
        paths: What a worker has to find; one that does not gets no work.
    """

    def __init__(self, patterns: tuple[str, ...], paths: tuple[Path, ...]) -> None:
        self.name = PLUGIN
        self._patterns = patterns
        self._paths = paths
        self._marked = False

    async def setup(self, worker: Worker) -> None:
        """Give a worker its resources."""
        started = worker.state.total_resources.get(BENCHMARK, 0) > 0
        named = any(fnmatchcase(str(worker.name), pattern) for pattern in self._patterns)
        self._marked = named and not started
        missing = tuple(str(path) for path in self._paths if not is_there(path))
        facts = WorkerFacts(
            name=str(worker.name),
            address=worker.address,
            cpu_class=this_cpu_class(),
            claimed=bool(os.environ.get(CPU_CLASS)),
            cores=available_cpus(),
            benchmark=started or named,
            evaluates=evaluation_resource(),
            missing=missing,
            versions=versions(),
        )
        setattr(worker, _ATTRIBUTE, facts)
        tunes = float(facts.benchmark and not missing)
        evaluates = 0.0 if facts.benchmark or missing else float(worker.state.nthreads)
        resources = {benchmark_of(facts.cpu_class): tunes, facts.evaluates: evaluates}
        if facts.benchmark:
            resources[BENCHMARK] = tunes  # one at a time, whatever it was started with
        await worker.set_resources(**resources)

    async def teardown(self, worker: Worker) -> None:
        """Take the sweep's own resources back."""
        facts: WorkerFacts | None = getattr(worker, _ATTRIBUTE, None)
        if facts is not None and worker.status == Status.running:  # one that closes has nobody left to tell
            own = {benchmark_of(facts.cpu_class): 0.0, facts.evaluates: 0.0}
            if facts.benchmark:
                own[BENCHMARK] = 0.0 if self._marked else 1.0
            await worker.set_resources(**own)


def is_there(path: Path) -> bool:
    """Return whether a path, or anything that it stands for as a pattern, is there."""
    return path.exists() or bool(glob.glob(str(path)))  # noqa: PTH207 - the pattern may be absolute


def workers_of(client: Client) -> tuple[WorkerFacts, ...]:
    """Return the workers that are marked, in the order of their names."""
    found = [facts for facts in client.run(_facts, on_error="ignore").values() if facts is not None]
    return tuple(sorted(found, key=lambda facts: (facts.name, facts.address)))


def _facts(dask_worker: Any) -> WorkerFacts | None:
    return getattr(dask_worker, _ATTRIBUTE, None)


def count_with(client: Client, resource: str) -> int:
    """Return how many workers have a resource now."""
    return int(client.run_on_scheduler(_count_with, resource=resource))


def stranded(client: Client, futures: Sequence[Future]) -> list[Future]:
    """Return the futures whose tasks wait for a worker, although they were given to one: it was lost.

    Dask looks at such tasks again when a worker joins, and that has no resources of a sweep yet; so they are handed out
    anew.
    """
    keys = client.run_on_scheduler(_without_worker, keys=[future.key for future in futures])
    return [future for future in futures if future.key in set(keys)]


def _without_worker(keys: list[str], dask_scheduler: Any) -> list[str]:
    tasks = dask_scheduler.tasks
    return [key for key in keys if key in tasks and tasks[key].state == "no-worker"]


def _count_with(resource: str, dask_scheduler: Any) -> int:
    return sum(1 for worker in dask_scheduler.workers.values() if worker.resources.get(resource, 0) > 0)
