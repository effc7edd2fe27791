"""Hand jobs to the workers that measure latency: as many as there are workers, so that one job is one worker's.

A job whose worker is lost is run again, and given up when it has ended several. Were more handed out, that would count
against all that waited at that worker.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future, wait
from distributed.scheduler import KilledWorker

from quantize.errors import ExitCode, RunError
from quantize.progress import Progress
from quantize.sweep.absence import Absence
from quantize.sweep.marks import BENCHMARK, LOSSES, benchmark_of, stranded
from quantize.sweep.tuning import Outcome
from quantize.target import CPU_CLASSES, CpuClass

_LOOK_SECONDS = 0.5
_DEADLY = Outcome(
    ExitCode.BUG,
    "it ended every worker that took it",
    "  to do:    look into the workers' logs; the kernel may have ended them for want of memory",
)


@dataclass(frozen=True)
class Job:
    """Something that is done on a worker that measures latency.

    Attributes:
        name: What it is called, unique.
        function: What does it.
        argument: What that is given.
        cpu_class: The class of CPUs that it is for.
        elsewhere: Whether another class will do where there is no worker of its own.
    """

    name: str
    function: Callable[[Any], Outcome]
    argument: Any
    cpu_class: CpuClass
    elsewhere: bool = True


Finished = Callable[[str, Outcome], None]


class Dispatch:
    """Runs jobs, and loses none.

    Args:
        client: Connected to the scheduler of workers that are marked.
        patience: Seconds to wait for a worker, once none is left.
        losses: How many workers may be lost with a job before it is taken for what ends them.
    """

    def __init__(self, client: Client, patience: float, losses: int = LOSSES) -> None:
        self._client = client
        self._most_losses = losses
        self._absent = {name: Absence(patience) for name in CPU_CLASSES}
        self._losses: Counter[str] = Counter()
        """How many workers were lost with a job."""
        self._known: set[CpuClass] = set()
        """Classes that there was a worker of."""

    def run(self, jobs: Sequence[Job], finished: Finished, progress: Progress) -> None:
        """Run every job, and tell what became of each.

        Raises:
            RunError: The scheduler is lost.
        """
        pending, running = list(jobs), dict[Future, tuple[Job, CpuClass]]()
        with _told_where_lost(self._client):
            try:
                while pending or running:
                    progress("runs of the sweep", len(jobs) - len(pending) - len(running), len(jobs))
                    workers = self._workers()
                    pending += self._taken_back(running, finished)
                    self._hand_out(pending, running, workers)
                    for job in [job for job in pending if self._is_hopeless(job)]:
                        pending.remove(job)
                        finished(job.name, _no_worker(job))
                    self._collect(running, finished)
                progress("runs of the sweep", len(jobs), len(jobs))
            finally:
                self._client.cancel(list(running))

    def _workers(self) -> Mapping[CpuClass, int]:
        """Return how many workers of each class there are now."""
        found: Mapping[CpuClass, int] = self._client.run_on_scheduler(_benchmark_workers)
        for name, count in found.items():
            self._absent[name].look(there=count > 0)
        self._known |= {name for name, count in found.items() if count}
        return found

    def _is_gone(self, name: CpuClass) -> bool:
        """Return whether there has been no worker of a class for too long: one that is started again takes seconds."""
        return name not in self._known or self._absent[name].is_long

    def _is_hopeless(self, job: Job) -> bool:
        """Return whether there has been no worker for a job for too long."""
        possible = CPU_CLASSES if job.elsewhere else (job.cpu_class,)
        return all(self._absent[name].is_long for name in possible)

    def _hand_out(
        self, pending: list[Job], running: dict[Future, tuple[Job, CpuClass]], workers: Mapping[CpuClass, int]
    ) -> None:
        busy = Counter(name for _, name in running.values())
        free = Counter({name: count - busy[name] for name, count in workers.items()})
        for job in list(pending):
            name = self._class_for(job, free)
            if name is not None:
                free[name] -= 1
                pending.remove(job)
                resources = {BENCHMARK: 1, benchmark_of(name): 1}
                future = self._client.submit(job.function, job.argument, resources=resources, pure=False)
                running[future] = (job, name)

    def _class_for(self, job: Job, free: Counter[CpuClass]) -> CpuClass | None:
        """Return the class of a worker that is free for a job; None: it waits."""
        if free[job.cpu_class] > 0:
            return job.cpu_class
        if not (job.elsewhere and self._is_gone(job.cpu_class)):
            return None
        return next((name for name in sorted(free) if free[name] > 0), None)

    def _taken_back(self, running: dict[Future, tuple[Job, CpuClass]], finished: Finished) -> list[Job]:
        """Return the jobs whose workers were lost, to be handed out anew; one that has ended several is given up."""
        lost = stranded(self._client, list(running)) if running else []
        self._client.cancel(lost)
        jobs = [running.pop(future)[0] for future in lost]
        self._losses.update(job.name for job in jobs)
        for job in jobs:
            if self._losses[job.name] > self._most_losses:
                finished(job.name, _DEADLY)
        return [job for job in jobs if self._losses[job.name] <= self._most_losses]

    def _collect(self, running: dict[Future, tuple[Job, CpuClass]], finished: Finished) -> None:
        if not running:
            time.sleep(_LOOK_SECONDS)
            return
        try:
            with self._client.as_current():
                wait(list(running), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return
        for future in [future for future in running if future.status != "pending"]:
            job, _ = running.pop(future)
            finished(job.name, _outcome(future))


def _benchmark_workers(dask_scheduler: Any) -> dict[str, int]:
    named = {name: benchmark_of(name) for name in CPU_CLASSES}
    return {
        name: sum(1 for worker in dask_scheduler.workers.values() if worker.resources.get(resource, 0) > 0)
        for name, resource in named.items()
    }


def _outcome(future: Future) -> Outcome:
    """Return what became of a job whose future has ended."""
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status == "cancelled":
        return Outcome(ExitCode.INTERRUPTED, "the scheduler gave it up")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return _DEADLY
    return Outcome(ExitCode.BUG, f"a worker could not run it: {type(error).__name__}: {error}")


def _no_worker(job: Job) -> Outcome:
    return Outcome(
        ExitCode.USER,
        "no worker is left that measures latency",
        f"  expected: a worker that is marked as `benchmark` (class {job.cpu_class})\n"
        "  to do:    start one, and call the same command again: what is done is skipped",
    )


@contextmanager
def _told_where_lost(client: Client) -> Iterator[None]:
    """Tell a scheduler that has gone as something to put right."""
    try:
        yield
    except OSError as error:
        raise RunError(
            "the connection to the scheduler is lost",
            where=str(client.scheduler.address if client.scheduler is not None else "the scheduler"),
            found=str(error),
            advice="start it again, and call the same command again: what is done is skipped",
        ) from error
