"""How much a run does in the stages that no setting bounds: all of it, or what a quick run needs."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.config.run_config import RunConfig
from quantize.engines.image_budget import SAMPLE


@dataclass(frozen=True)
class Effort:
    """What a stage spends.

    Attributes:
        judges_rewrites: Whether each rewrite is timed and judged alone. Else all that hold what they declare are
            applied, and only what comes of them is judged and timed.
        rewritten_images: Images on which a rewrite's declaration is checked.
        layer_images: Images on which the error of each layer is measured.
        proven_images: Images on which every layer is held against what its grids predict.
        compared_images: Images on which the two formats are compared, at most.
        profiled_runs: Profiled runs of fp32 and of the QLinear file.
        loads: Processes in which the memory and load time of each model are measured.
    """

    judges_rewrites: bool = True
    rewritten_images: int = 64
    layer_images: int = 16
    proven_images: int = 4
    compared_images: int = SAMPLE // 2  # in exact sessions half of a sample tells 99.5 % apart from what is enough
    profiled_runs: int = 60
    loads: int = 3


FULL = Effort()
QUICK = Effort(
    judges_rewrites=False,
    rewritten_images=8,
    layer_images=4,
    proven_images=2,
    compared_images=48,
    profiled_runs=20,
    loads=1,
)


def effort_of(config: RunConfig) -> Effort:
    """Return how much a run of these settings does."""
    return QUICK if config.tuning.quick else FULL
