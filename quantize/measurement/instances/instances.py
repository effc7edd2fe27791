"""Several instances at once, each a process on its own cores."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from quantize.measurement.instances.cores import Placement, place_instances
from quantize.measurement.machine import cpu
from quantize.measurement.machine.conditions import Conditions, read_conditions
from quantize.measurement.machine.environment import Environment, read_environment
from quantize.measurement.machine.resources import as_measurement_error
from quantize.measurement.timing.block import Block, Contestant
from quantize.measurement.timing.clock import monotonic
from quantize.measurement.timing.measure import Inputs, plan_for
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.schedule import round_order
from quantize.processes.child import ChildProcess
from quantize.progress import Progress, silent

_WORKER = "quantize.measurement.instances.worker:run_instance"
_ROUNDS = 8
_PHASE_SECONDS = (0.05, 1.0)
_LEAD_NS = 20_000_000  # between the word to begin and the beginning: time for the word to reach all


class Instance(BaseModel):
    """One of the processes.

    Attributes:
        index: From 0.
        placement: The cores it was given.
        affinity: The cores it ran on, as the system told it; None where the system cannot pin.
        peak_bytes: Its largest resident set size; None where the system does not tell.
        blocks: Its runs: all that began within a phase are one block.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    placement: Placement
    affinity: tuple[int, ...] | None
    peak_bytes: int | None
    blocks: tuple[Block, ...]


class InstanceMeasurement(BaseModel):
    """What several instances did at the same time.

    Attributes:
        plan: What was asked for; ``threads`` is the cores of one instance.
        contestants: Who took part.
        environment: Machine, software and settings.
        before: Conditions when it began.
        after: Conditions when it ended.
        phase_seconds: How long all instances ran one contestant at a time.
        instances: One entry a process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    contestants: tuple[Contestant, ...]
    environment: Environment
    before: Conditions
    after: Conditions
    phase_seconds: float
    instances: tuple[Instance, ...]


def measure_instances(
    plan: Plan, inputs: Inputs, instances: int, *, progress: Progress = silent
) -> InstanceMeasurement:
    """Run several instances of every contestant at the same time, contestants in alternation.

    Every instance is pinned to cores of its own before it opens a session (and, on machines with several NUMA nodes
    and ``numactl``, to the memory of its node). Before each phase all wait for each other; then all run the same
    contestant until the same moment. Rounds and fresh sessions are as in ``interleave``.

    Args:
        plan: ``threads`` is the cores and threads of one instance; ``max_seconds`` bounds the whole.
        inputs: Prepared images of every model, as for ``measure``.
        instances: How many.
        progress: Told the phases done.

    Raises:
        MeasurementError: There are not enough cores, an instance was killed, or as ``measure``.
    """
    plan = plan_for(plan, inputs)
    nodes = cpu.numa_nodes()
    cores = cpu.affinity() or tuple(range(cpu.logical_cores()))
    placements = place_instances(instances, plan.threads, cores=cores, nodes=nodes, siblings=cpu.siblings(cores))
    contestants = plan.contestants()
    names = tuple(contestant.name for contestant in contestants)
    generator = np.random.default_rng(plan.seed)
    rounds = [round_order(names, generator) for _ in range(_ROUNDS)]
    low, high = _PHASE_SECONDS
    phase = min(high, max(low, plan.max_seconds / (2 * len(names) * _ROUNDS)))
    environment, before = read_environment(plan), read_conditions()
    with tempfile.TemporaryDirectory(prefix="quantize-instances-") as folder, ExitStack() as stack:
        stack.enter_context(as_measurement_error())
        request = {
            "contestants": _contestants(plan, contestants, inputs, Path(folder)),
            "rounds": rounds,
            "phase_ns": int(phase * 1e9),
            "plan": plan.model_dump(mode="json"),
        }
        children = [
            stack.enter_context(ChildProcess(_WORKER, name=f"instance {index}", prefix=_on_node(placement, nodes)))
            for index, placement in enumerate(placements)
        ]
        for child, placement in zip(children, placements, strict=True):
            child.send({**request, "cores": list(placement.cores)})
        _run_phases(children, 2 * len(names) * _ROUNDS, progress)
        answers = [child.receive() for child in children]
    return InstanceMeasurement(
        plan=plan,
        contestants=contestants,
        environment=environment,
        before=before,
        after=read_conditions(),
        phase_seconds=phase,
        instances=tuple(
            Instance.model_validate({**answer, "index": index, "placement": placement})
            for index, (answer, placement) in enumerate(zip(answers, placements, strict=True))
        ),
    )


def _run_phases(children: Sequence[ChildProcess], phases: int, progress: Progress) -> None:
    """Let all children run each phase from the same moment on: the barrier."""
    for done in range(phases):
        progress("instances", done, phases)
        for child in children:
            child.receive()
        start = monotonic() + _LEAD_NS
        for child in children:
            child.send({"start_ns": start})
    progress("instances", phases, phases)


def _contestants(
    plan: Plan, contestants: Sequence[Contestant], inputs: Inputs, folder: Path
) -> dict[str, dict[str, Any]]:
    """Write each model's inputs to a file that the instances map, and return where all is."""
    found = {}
    for contestant in contestants:
        name = plan.baseline if contestant.role == "control" and plan.baseline is not None else contestant.name
        path = folder / f"{list(plan.models).index(name)}.npy"
        if not path.exists():
            np.save(path, np.stack(list(inputs[name])))
        found[contestant.name] = {"model": str(plan.models[name].resolve()), "images": str(path)}
    return found


def _on_node(placement: Placement, nodes: Sequence[Sequence[int]]) -> tuple[str, ...]:
    numactl = shutil.which("numactl")
    if numactl is None or placement.node is None or len(nodes) < 2:
        return ()
    return (numactl, f"--membind={placement.node}")
