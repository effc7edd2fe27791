"""What a search keeps of the weights of its candidates."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantize.engines.native.builder.kept_levels import KeptLevels
from quantize.engines.native.builder.kept_problems import KeptProblems
from quantize.engines.native.builder.kept_scales import KeptScales


@dataclass(frozen=True)
class Kept:
    """What takes long to find and serves many candidates, from whatever graph and images they are built.

    Attributes:
        problems: The layers' rounding problems; as given here, all of them.
        levels: Rounded weights; as given here, in memory.
        scales: Scales of weights.
    """

    problems: KeptProblems = field(default_factory=KeptProblems)
    levels: KeptLevels = field(default_factory=KeptLevels)
    scales: KeptScales = field(default_factory=KeptScales)
