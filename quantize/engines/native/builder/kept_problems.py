"""Keep the layers' rounding problems, which many recipes share, as long as they take little memory together."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from quantize.engines.native.builder.rounding_problem import RoundingProblem


class KeptProblems:
    """Rounding problems by what asks for them; those beyond a bound are made again each time.

    Most are of a few hundred inputs. Those of layers of thousands take up to 64 MB each, more than all the rest.
    """

    def __init__(self, most_bytes: float = math.inf) -> None:
        """Set up with the bytes that are kept at most."""
        self._most = most_bytes
        self._kept: dict[tuple[object, Hashable], RoundingProblem] = {}

    def of(self, owner: object, key: Hashable, make: Callable[[], RoundingProblem]) -> RoundingProblem:
        """Return an owner's problem, made unless it was kept."""
        known = self._kept.get((owner, key))
        if known is not None:
            return known
        problem = make()
        if problem.bytes + sum(other.bytes for other in self._kept.values()) <= self._most:
            self._kept[owner, key] = problem
        return problem

    def forget(self, owner: object) -> None:
        """Free an owner's problems."""
        self._kept = {key: problem for key, problem in self._kept.items() if key[0] is not owner}
