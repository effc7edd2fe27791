"""Who runs when: ABBA in random order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def round_order(names: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    """Return one round: every name in random order, then the same order backwards (ABBA, ABCCBA).

    The mirror cancels a drift that is linear in time within the round; the random order keeps what is left from
    favouring one contestant.

    Args:
        names: The contestants, in a fixed order.
        generator: Source of the order.

    Returns:
        Each name twice.
    """
    order = tuple(names[index] for index in generator.permutation(len(names)))
    return order + order[::-1]


def fitting_block_length(longest: int, run_ns: Sequence[float], *, budget_ns: float, rounds: int) -> int:
    """Return the timed runs a block that let ``rounds`` rounds fit into a time budget.

    Args:
        longest: Never more than this.
        run_ns: Duration of one run of each contestant, in nanoseconds.
        budget_ns: Time for all rounds, in nanoseconds.
        rounds: Rounds wanted.

    Returns:
        Between 1 and ``longest``: slow models get shorter blocks rather than too few rounds.
    """
    runs_in_a_round = 2 * sum(run_ns)
    return max(1, min(longest, int(budget_ns / (rounds * runs_in_a_round)))) if runs_in_a_round > 0 else longest
