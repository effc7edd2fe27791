"""The settings of a search."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from quantize.criterion import SpeedCriterion
from quantize.engines.native.builder.weights import BIAS, SCORES
from quantize.recipe import Recipe


class SearchSettings(BaseModel):
    """The settings of a search; the journal is of one configuration of them.

    Attributes:
        recipe: Types, per-channel, exclusions and rewrites that every candidate has; engine ``native``.
        range_rules: Range rules to compare; the first is the one to beat. One rule fixes it.
        corrections: Corrections to try, in this order; each is kept only if it brings the scores closer to fp32's.
            Smoothing of normalizations and equalization come first, that of Convs last, with the others in place.
        choose_tensors: How many of the most sensitive tensors get a range rule of their own, by measured scores.
        sensitivity_images: Images that sensitivity is measured on, at most.
        moment_images: Images that the second moments of the layers' inputs are collected on, at most.
        rungs: Most rungs of the ladder.
        variants: Other recipes to try where the fastest assignment fails, at most.
        neighbours: Most candidates near the best one that are measured.
        min_speedup: fp32's time over a candidate's, at least; None: this machine's times do not count.
        confidence: Certainty that the speed-up must be shown with; None: a candidate must not be shown to be slower.
        max_trials: Candidates evaluated at most; None for no bound.
        max_seconds: Time for the whole search, what was spent before a resumption included; None for no bound.
        threads: Cores that may be used.
        first_answer: Whether candidates with everything in int8 are tried first, uncompared; one that is good enough
            ends the search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    range_rules: tuple[str, ...] = ("percentile:99.999", "minmax", "mse", "entropy")
    corrections: tuple[str, ...] = ("smoothing", "equalization", "rounding", "bias", "weight_mse", "scores")
    choose_tensors: int = Field(default=2, ge=0)
    sensitivity_images: int = Field(default=32, ge=1)
    moment_images: int = Field(default=64, ge=1)
    rungs: int = Field(default=24, ge=1)
    variants: int = Field(default=3, ge=0)
    neighbours: int = Field(default=4, ge=0)
    min_speedup: float | None = Field(default=1.0, gt=0.0)
    confidence: float | None = Field(default=None, ge=0.5, lt=1.0)
    max_trials: int | None = Field(default=None, ge=1)
    max_seconds: float | None = Field(default=None, gt=0.0)
    threads: int = Field(default=2, ge=1)
    first_answer: bool = False

    @property
    def speed(self) -> SpeedCriterion | None:
        """Return what a candidate's speed-up is held against; None if this machine's times do not count."""
        if self.min_speedup is None:
            return None
        return SpeedCriterion(min_speedup=self.min_speedup, confidence=self.confidence)

    def for_first_answer(self) -> SearchSettings:
        """Return the settings of a search for a first answer: what costs most for what it gains is left out."""
        return self.model_copy(
            update={
                "first_answer": True,
                "range_rules": ("minmax", self.range_rules[0]),
                "corrections": (BIAS, SCORES),  # they cost next to nothing, lessen an error and make no other
                "choose_tensors": 0,
                "sensitivity_images": 8,
                "moment_images": 16,
                "variants": 0,
                "neighbours": 0,
            }
        )

    @property
    def may_end_in_fp32(self) -> bool:
        """Return whether the fp32 model itself is fast enough."""
        return self.min_speedup is None or self.min_speedup <= 1.0
