"""Speed ratios of rewrites: recorded in a table or the journal, or measured once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval

Triple = tuple[float, float, float]


@dataclass
class Ratios:
    """Every ratio of a run, each measured at most once, whatever kills and resumes it.

    Attributes:
        journal: The run's journal.
        recorded: Ratios of a recorded latency table, which stand in place of measuring.
        profiles: Recorded profiles by recipe id, which stand in place of measuring.
        used: Every ratio that was asked for: low, ratio, high.
        used_profiles: Every profile that was asked for, by recipe id.
    """

    journal: Journal
    recorded: Mapping[str, Triple]
    profiles: Mapping[str, ProfiledTimes] = field(default_factory=dict)
    used: dict[str, Triple] = field(default_factory=dict)
    used_profiles: dict[str, ProfiledTimes] = field(default_factory=dict)

    def of(self, before: ModelArtifact, after: ModelArtifact, measured: Callable[[], RatioInterval]) -> RatioInterval:
        """Return how much faster ``after`` is than ``before``."""
        key = f"{before.graph_sha256[:16]} {after.graph_sha256[:16]}"

        def compute() -> list[float]:
            if key in self.recorded:
                return list(self.recorded[key])
            found = measured()
            return [found.low, found.ratio, min(found.high, _UNBOUNDED)]

        low, ratio, high = self.journal.step(f"rewrite {key}", compute)
        self.used[key] = (low, ratio, high)
        return RatioInterval(low=low, ratio=ratio, high=high)

    def profile(self, recipe: Recipe, measured: Callable[[], ProfiledTimes]) -> ProfiledTimes:
        """Return the time of fp32 and of a recipe's model, op by op."""

        def compute() -> Any:
            return (self.profiles.get(recipe.id) or measured()).model_dump(mode="json")

        times = ProfiledTimes.model_validate(self.journal.step(f"profile {recipe.id}", compute))
        self.used_profiles[recipe.id] = times
        return times


_UNBOUNDED = 1e9  # stands for "no upper bound": JSON has no infinity
