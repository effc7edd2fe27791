"""Where no arithmetic on integers is both fast and accurate enough: fp32 arithmetic on weights stored in int8."""

from __future__ import annotations

from collections.abc import Iterator

from quantize.engines.engine import Trial
from quantize.engines.native.search.bisect import Bisection
from quantize.engines.native.search.candidates import Candidates
from quantize.engines.native.search.storage import Storage, placed
from quantize.recipe import Recipe


def in_fp32(
    candidates: Candidates, recipe: Recipe, units: frozenset[str], storage: Storage, *, bounded: bool
) -> Iterator[Trial]:
    """Evaluate models that compute in fp32 throughout, down to the fp32 model itself.

    The graph that runs is the fp32 model's own, so all of them are as fast, and the smallest that meets the criterion
    is looked for: weights that break it are kept in fp32, the most sensitive first.

    Args:
        candidates: Evaluates them.
        recipe: Rules and corrections.
        units: All units.
        storage: Which weights may be stored.
        bounded: False evaluates the smallest and the largest file although the budget is spent, and no other.
    """
    choices = storage.choices(units)
    if not bounded:
        choices = tuple(dict.fromkeys((choices[0], choices[-1])))
    bisection = Bisection(len(choices))
    while (index := bisection.next) is not None:
        found = candidates.evaluated(placed(recipe, units, choices[index]), None, "stored", bounded=bounded)
        yield found.trial
        bisection.tell(index, passed=found.met)
