"""Images split into chunks for child processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import TypeVar

from quantize.data.image_set import ImageSet, Locator
from quantize.errors import DataError
from quantize.processes.child import ChildError
from quantize.processes.pool import available_cpus, map_in_children

Chunk = list[tuple[int, Locator]]
Result = TypeVar("Result")

_IMAGES_PER_CHUNK = 16
# A child process takes about as long to start as this many images take to decode.
_IMAGES_WORTH_A_WORKER = 64


def map_chunks(
    job: Callable[[Chunk], Result], images: ImageSet, rows: Collection[int], workers: int | None
) -> Iterator[Result]:
    """Yield ``job(chunk)`` for all chunks of some images, in the order in which they are done.

    Args:
        job: Picklable; called with (row, locator) pairs.
        images: The images.
        rows: Which of them.
        workers: Number of processes; None: as many as CPUs, fewer for few images.

    Raises:
        DataError: A worker process died.
    """
    count = workers or min(available_cpus(), -(-len(rows) // _IMAGES_WORTH_A_WORKER))
    try:
        yield from map_in_children(job, _in_storage_order(images, rows), count)
    except ChildError as error:
        raise DataError(
            "a worker process ended in the middle of its work",
            found=[error.how, *error.stderr.splitlines()],
            advice="if memory ran out, use fewer workers or free some memory",
        ) from error


def _in_storage_order(images: ImageSet, rows: Collection[int]) -> Iterator[Chunk]:
    """Yield (row, locator) pairs of some images, 16 at a time, in the order in which their container holds them."""
    ordered = iter(sorted(rows, key=lambda row: images.records[row].locator))
    while chunk := [(row, images.records[row].locator) for row in islice(ordered, _IMAGES_PER_CHUNK)]:
        yield chunk
