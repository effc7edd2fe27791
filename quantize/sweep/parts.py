"""Parts of one piece of work on whichever workers may take them, with the results in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from distributed import Client, Future, wait

from quantize.progress import Progress, silent
from quantize.sweep.absence import Absence
from quantize.sweep.marks import LOSSES, count_with, stranded

_LOG = logging.getLogger("quantize")

_LOOK_SECONDS = 2.0
_RETRIES = 2
"""How often a part that failed is tried again: another worker may get it."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_parts(
    client: Client,
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    resource: str,
    patience: float,
    progress: Progress = silent,
) -> list[Result] | None:
    """Return the result of every part, in order; None if no worker is left that takes them.

    A part whose worker is lost is done again by another one.

    Args:
        client: Connected to the scheduler.
        function: Does a part, on a worker.
        tasks: What it is given.
        resource: Of the workers that take them, one at a time for each thread.
        patience: Seconds to wait for such a worker, once all are lost.
        progress: Receives the parts done.

    Raises:
        KilledWorker: A part ended worker after worker.
        Exception: What a part raised, again and again.
    """

    def submitted(task: Task) -> Future:
        return client.submit(function, task, resources={resource: 1}, pure=False, retries=_RETRIES)

    futures = [submitted(task) for task in tasks]

    def hand_out_again(lost: Sequence[Future]) -> None:
        for number in [number for number, future in enumerate(futures) if future in lost]:
            futures[number] = submitted(tasks[number])

    try:
        if not _all_done(client, futures, hand_out_again, resource, patience, progress):
            return None
        results: list[Result] = client.gather(futures)
        return results
    finally:
        client.cancel(futures)


def _all_done(
    client: Client,
    futures: list[Future],
    hand_out_again: Callable[[Sequence[Future]], None],
    resource: str,
    patience: float,
    progress: Progress,
) -> bool:
    """Wait for every part, and return whether all are done or one failed; False: the workers cannot do them."""
    nobody, losses = Absence(patience), 0
    while True:
        pending = [future for future in futures if future.status == "pending"]
        progress("evaluate", len(futures) - len(pending), len(futures))
        if not pending or any(future.status == "error" for future in futures):
            return True
        try:
            with client.as_current():
                wait(pending, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            nobody.look(there=True)
        except TimeoutError:
            nobody.look(there=count_with(client, resource) > 0)
            if nobody.is_long:
                _LOG.warning("no worker is left that evaluates: the run goes on by itself")
                return False
            lost = stranded(client, pending)
            if lost and count_with(client, resource):
                losses += 1
                if losses > LOSSES:
                    _LOG.warning("worker after worker was lost: the run goes on by itself")
                    return False
                hand_out_again(lost)
