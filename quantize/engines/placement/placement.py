"""Placements of a model's layers: the options, and the one that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantize.recipe import Recipe
from quantize.rewrites import RatioInterval

Kind = Literal["as tuned", "smaller", "fastest", "safer", "float"]


@dataclass(frozen=True)
class Option:
    """One placement that was looked at.

    Attributes:
        kind: As the engine decided, the same with the weights of its float layers stored in int8, the fastest
            assignment by prediction, one with more layers in float where that misses the criterion, or float arithmetic
            throughout.
        recipe: What builds it.
        predicted_ns: Its predicted time for one run; None if nothing was predicted.
        speedup: fp32's time over its own; None if it was not measured.
        gain: The time as tuned over its own; None if it was not measured.
        metric: The criterion's metric, a fraction; None if it was not measured.
        met: Whether it meets the accuracy criterion; None if it was not judged.
        bytes: Size of its model.
    """

    kind: Kind
    recipe: Recipe
    predicted_ns: float | None = None
    speedup: RatioInterval | None = None
    gain: RatioInterval | None = None
    metric: float | None = None
    met: bool | None = None
    bytes: int = 0


@dataclass(frozen=True)
class Placement:
    """What came of the choice.

    Attributes:
        chosen: The placement that was taken.
        options: All that were looked at, in order.
        reason: Why it was taken, in a sentence.
    """

    chosen: Option
    options: tuple[Option, ...]
    reason: str


def reason_for(chosen: Option) -> str:
    """Return why an option with int8 arithmetic is chosen, in a sentence."""
    if chosen.kind == "as tuned":
        return "no layer measures slower in int8 here"
    if chosen.kind == "smaller":
        return "no layer measures slower in int8 here, and layers in float keep their weights in int8"
    if chosen.kind == "safer":
        return "layers compute in float that int8 would take too far from fp32"
    return "layers that measure slower in int8 here compute in float"


def float_text(option: Option) -> str:
    """Return what float arithmetic throughout means for an option's weights."""
    if option.recipe.stored_nodes:
        return "everything computes in float, on weights stored in int8"
    return "the model is fp32 itself"
