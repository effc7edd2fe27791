"""What a run advises: the recommendation, and a sentence each on accuracy, speed and size."""

from __future__ import annotations

from typing import Literal

from quantize.report.section import Section

Decision = Literal[
    "ship int8",
    "keep fp32",
    "measure on the target",
    "measure again",
    "add images",
    "try your own images",
    "judge yourself",
    "tune in full",
]
PointState = Literal["not met", "slower", "open", "good"]


class PointSection(Section):
    """One thing that decides whether int8 is worth it.

    Attributes:
        subject: What it is about.
        state: How good it is; ``open``: not settled, not asked, or not measured for the target.
        text: A sentence with the figures.
    """

    subject: Literal["accuracy", "speed", "size"]
    state: PointState
    text: str


class ConclusionSection(Section):
    """What a person reads first.

    Attributes:
        decision: What to do, for machines.
        recommendation: What to do, in a sentence or two.
        points: What that rests on: what was not met first, then what is slower, then the rest.
    """

    decision: Decision
    recommendation: str
    points: tuple[PointSection, ...]
