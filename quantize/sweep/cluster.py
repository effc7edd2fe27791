"""The workers of a sweep: those of a scheduler, or processes of this machine."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from quantize.errors import RunError
from quantize.sweep.config import SweepConfig

_HERE = "127.0.0.1"
_SETTINGS = {
    "distributed.worker.daemon": False,  # a worker's runs have processes of their own
    "distributed.comm.timeouts.connect": "300s",  # a busy machine starts a process slowly
    "distributed.deploy.lost-worker-timeout": "300s",  # and one anew; until then its place in the cluster stays
    "distributed.scheduler.worker-ttl": None,  # the connection tells who died; one that is only stopped is not lost
}
_CONNECT_SECONDS = 15
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def connected(config: SweepConfig) -> Iterator[Client]:
    """Yield a client of the sweep's scheduler, with at least one worker.

    Without a scheduler, processes of this machine are started, which only this machine reaches; the first one is marked
    as ``benchmark``, so that nothing else of the sweep runs while it measures.

    Raises:
        RunError: The scheduler does not answer, or has no worker.
    """
    if config.scheduler is None:
        with quietly(), local_cluster(config.local_workers) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    with quietly():
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


@contextmanager
def local_cluster(workers: int) -> Iterator[SpecCluster]:
    """Yield a scheduler in this process, and workers in processes of their own, started again when they die."""
    plain = {"host": _HERE, "nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": logging.CRITICAL}
    specs: dict[str, Any] = {
        f"{number}": {"cls": Nanny, "options": {**plain, **({"resources": {"benchmark": 1}} if number == 0 else {})}}
        for number in range(workers)
    }
    options = {"host": _HERE, "port": 0, "dashboard": False, "dashboard_address": f"{_HERE}:0"}
    scheduler = {"cls": Scheduler, "options": options}
    with dask.config.set(_SETTINGS):
        with _uninterrupted():
            cluster = SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL)
        with cluster:
            yield cluster


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a signal wait until the block ends: half a cluster cannot be closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        received.append(number)

    before = {number: signal.signal(number, note) for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in received[:1]:
            signal.raise_signal(number)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Dask's own lines off the terminal: what matters of them is told by the sweep."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


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
