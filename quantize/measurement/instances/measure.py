"""Run several instances at once, each a process on its own cores."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from quantize.errors import MeasurementError
from quantize.files import scratch_folder
from quantize.measurement.instances.measurement import Instance, InstanceMeasurement, Placement
from quantize.measurement.machine import cpu
from quantize.measurement.machine.environment import read_conditions, read_environment
from quantize.measurement.machine.resources import as_measurement_error
from quantize.measurement.timing.blocks import Contestant, round_order
from quantize.measurement.timing.clock import monotonic
from quantize.measurement.timing.measure import Inputs, plan_for
from quantize.measurement.timing.plan import Plan
from quantize.processes.child import ChildProcess
from quantize.progress import Progress, silent

_WORKER = "quantize.measurement.instances.worker:run_instance"
_ROUNDS = 8
_PHASE_SECONDS = (0.05, 1.0)
_LEAD_NS = 20_000_000  # between the message and the start, so that it reaches all children


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
        instances: Number of instances.
        progress: Called with the number of phases done.

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
    with scratch_folder("instances") as folder, ExitStack() as stack:
        stack.enter_context(as_measurement_error())
        request = {
            "contestants": _contestants(plan, contestants, inputs, folder),
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
    """Let all children start each phase at the same moment: the barrier."""
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
    """Write each model's inputs to a file that the instances map, and return the paths."""
    files = {}
    for contestant in contestants:
        name = plan.baseline if contestant.role == "control" and plan.baseline is not None else contestant.name
        path = folder / f"{list(plan.models).index(name)}.npy"
        if not path.exists():
            np.save(path, np.stack(list(inputs[name])))
        files[contestant.name] = {"model": str(plan.models[name].resolve()), "images": str(path)}
    return files


def _on_node(placement: Placement, nodes: Sequence[Sequence[int]]) -> tuple[str, ...]:
    numactl = shutil.which("numactl")
    if numactl is None or placement.node is None or len(nodes) < 2:
        return ()
    return (numactl, f"--membind={placement.node}")


def place_instances(
    instances: int,
    threads: int,
    *,
    cores: Sequence[int],
    nodes: Sequence[Sequence[int]] = (),
    siblings: Mapping[int, Sequence[int]] | None = None,
) -> tuple[Placement, ...]:
    """Give each instance its own cores, of one NUMA node if one has enough left.

    Within a node, one logical core of every physical core is given away before the second one of any.

    Args:
        instances: Number of instances.
        threads: Cores of each.
        cores: The available logical cores.
        nodes: The cores of each NUMA node.
        siblings: For a core, the logical cores of its physical core.

    Raises:
        MeasurementError: There are not enough cores.
    """
    if instances * threads > len(cores):
        raise MeasurementError(
            "the instances need more cores than there are",
            found=f"{instances} x {threads} = {instances * threads} cores",
            expected=f"at most {len(cores)}",
            advice="ask for fewer instances or fewer cores each",
        )
    kin = siblings or {}
    free = sorted(cores, key=lambda core: (sorted(kin.get(core, (core,))).index(core), core))
    taken: list[tuple[int, ...]] = []
    for _ in range(instances):
        # The node with most cores left keeps the instances apart; within one node the order decides.
        homes = sorted(
            ([core for core in free if core in node] for node in nodes), key=lambda home: len(home), reverse=True
        )
        home = next((home for home in homes if len(home) >= threads), free)
        taken.append(tuple(home[:threads]))
        free = [core for core in free if core not in taken[-1]]
    placements = []
    for own in taken:
        others = {core for place in taken if place is not own for core in place}
        kindred = {other for core in own for other in kin.get(core, (core,))}
        node = next((number for number, node in enumerate(nodes) if set(own) <= set(node)), None)
        placements.append(Placement(cores=tuple(sorted(own)), node=node, shares_core=bool(kindred & others)))
    return tuple(placements)
