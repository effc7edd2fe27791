"""A run that repeats another one: did it give the same models?"""

from __future__ import annotations

from typing import Literal

from quantize.report.section import Section


class ReplaySection(Section):
    """The outcome of a repetition.

    Attributes:
        of: The report that was repeated.
        outcome: ``same``: both models have the same graph hash. ``different``: they have not, on the same instruction
            sets and versions. ``not comparable``: they have not, and machine or versions differ.
        differences: What differs: models, instruction sets, versions; one sentence each.
    """

    of: str
    outcome: Literal["same", "different", "not comparable"]
    differences: tuple[str, ...]


def replay_sentences(replay: ReplaySection) -> tuple[str, ...]:
    """Return what a repetition came to, in sentences."""
    first = {
        "same": f"Both models are the same, bit for bit, as those of {replay.of}.",
        "different": f"The models are NOT the same as those of {replay.of}, on the same versions and instruction sets.",
        "not comparable": f"The models are not those of {replay.of}; machine or versions are others: not comparable.",
    }[replay.outcome]
    return (first, *(f"{difference}." for difference in replay.differences))
