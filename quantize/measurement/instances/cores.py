"""Which cores each instance gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from quantize.errors import MeasurementError


class Placement(BaseModel):
    """The place of one instance.

    Attributes:
        cores: Its logical cores, shared with no other instance.
        node: The NUMA node that holds them all; None where they lie on several or the system does not tell.
        shares_core: Whether another instance runs on the other hyper-thread of one of its physical cores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cores: tuple[int, ...]
    node: int | None
    shares_core: bool = False


def place_instances(
    instances: int,
    threads: int,
    *,
    cores: Sequence[int],
    nodes: Sequence[Sequence[int]] = (),
    siblings: Mapping[int, Sequence[int]] | None = None,
) -> tuple[Placement, ...]:
    """Give each instance cores of its own, of one NUMA node where one has enough left.

    Within a node, one logical core of every physical core is given away before the second one of any.

    Args:
        instances: How many.
        threads: Cores of each.
        cores: The logical cores to be had.
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
