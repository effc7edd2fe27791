"""What a search needs of a profile: which op of the fp32 model took how long in either model."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quantize.measurement.operators.operator_times import ModelProfile, OperatorTime, Profile

# The moves that a rewrite puts before the first Conv carry its name (a Pad for odd sizes does not); they go where it
# goes, unlike other conversions.
_MOVE = re.compile(r"(?P<conv>.+)_SpaceToDepth(?:_\d+)*")


class TimedOp(BaseModel):
    """One op of a graph as it ran.

    Attributes:
        origin: The fp32 model's node that it computes, or moves values for; None for what else was added.
        kind: Int8 arithmetic, fp32 arithmetic, or conversion.
        time_ns: Its time in one run, in nanoseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str | None
    kind: Literal["int8", "fp32", "conversion"]
    time_ns: float


class ProfiledTimes(BaseModel):
    """The ops of the fp32 model and of a candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline: tuple[TimedOp, ...]
    candidate: tuple[TimedOp, ...]

    @classmethod
    def of(cls, profile: Profile) -> ProfiledTimes:
        """Return the times in a profile."""
        return cls(baseline=_timed(profile.baseline), candidate=_timed(profile.candidate))


def _timed(profile: ModelProfile) -> tuple[TimedOp, ...]:
    return tuple(TimedOp(origin=_origin(op), kind=op.kind, time_ns=op.time_ns) for op in profile.operators)


def _origin(op: OperatorTime) -> str | None:
    move = None if op.origin is not None else _MOVE.fullmatch(op.name)
    return op.origin if move is None else move["conv"]
