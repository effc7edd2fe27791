"""Block ``evaluation``: how accuracy and speed are measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quantize.config.block import Block, Expected
from quantize.config.values import Count, CountOrZero, Seconds


class MetricBlock(Block):
    """The metric that decides."""

    topk: Annotated[Literal[1], Expected("1: top-1 decides, and top-5 is reported beside it", "1")] = Field(
        default=1, description="The metric that decides: top-1. Top-5 is always reported."
    )


class AccuracyBlock(Block):
    """How accuracy is measured."""

    metric: MetricBlock = MetricBlock()


class InstanceBlock(Block):
    """The cores that a benchmark uses."""

    cores_per_instance: Count = Field(default=1, description="Cores, and threads, of one instance.")
    num_of_instance: Count = Field(default=1, description="Instances that run at once, each on its own cores.")


class PerformanceBlock(Block):
    """How speed is measured."""

    warmup: CountOrZero = Field(default=10, description="Inferences before timing starts.")
    iteration: Count = Field(default=1000, description="Timed inferences, at least.")
    max_seconds: Seconds = Field(default=120, description="Stop measuring speed after this long.")
    configs: InstanceBlock = InstanceBlock()


class EvaluationBlock(Block):
    """How accuracy and speed are measured."""

    accuracy: AccuracyBlock = AccuracyBlock()
    performance: PerformanceBlock = PerformanceBlock()
