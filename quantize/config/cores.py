"""The cores that a benchmark asks for, against those that there are."""

from __future__ import annotations

import os

from quantize.config.document import Document, KeyPath
from quantize.config.evaluation import InstanceBlock
from quantize.config.overrides import is_flag
from quantize.config.problem import Problem, dotted

_CONFIGS: KeyPath = ("evaluation", "performance", "configs")
_CORES: KeyPath = (*_CONFIGS, "cores_per_instance")
_INSTANCES: KeyPath = (*_CONFIGS, "num_of_instance")


def available_cores() -> int:
    """Return how many cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def fitted(wanted: InstanceBlock, document: Document, cores: int, notes: list[str]) -> InstanceBlock:
    """Return the instances and cores that fit the machine.

    What a flag asks for is not changed: where it does not fit, that is a problem of the document. What a file asks
    for is cut down, with a note.

    Args:
        wanted: What was asked for.
        document: Where each number came from; gains the problems.
        cores: The machine's cores.
        notes: Gains a note for each number that is cut down.
    """
    per_instance, instances = wanted.cores_per_instance, wanted.num_of_instance
    if per_instance * instances <= cores:
        return wanted
    fixed = [path for path in (_CORES, _INSTANCES) if is_flag(document.where(path))]
    least = (per_instance if _CORES in fixed else 1) * (instances if _INSTANCES in fixed else 1)
    if least > cores:
        document.problems.append(_too_many(document, fixed, least, cores))
        return wanted
    if _CORES not in fixed:
        per_instance = min(per_instance, cores // (instances if _INSTANCES in fixed else 1))
    if _INSTANCES not in fixed:
        instances = min(instances, cores // per_instance)
    for path, before, after in (
        (_CORES, wanted.cores_per_instance, per_instance),
        (_INSTANCES, wanted.num_of_instance, instances),
    ):
        if after != before:
            cut = f"{before} cut down to {after}: this machine has {_cores(cores)}"
            notes.append(f"{document.where(path)}: {dotted(path)}: {cut}")
    return InstanceBlock(cores_per_instance=per_instance, num_of_instance=instances)


def _too_many(document: Document, fixed: list[KeyPath], least: int, cores: int) -> Problem:
    return Problem(
        ", ".join(document.where(path) for path in fixed),
        "more cores than this machine has",
        found=_cores(least),
        expected=f"at most {_cores(cores)}, which this process may run on",
        advice="ask for fewer, or let the process run on more (taskset, container limits)",
    )


def _cores(number: int) -> str:
    return f"{number} core{'' if number == 1 else 's'}"
