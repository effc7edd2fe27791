"""How often the intervals hold the true drop, and how often a certificate is wrong: a table by simulation.

Run: python benchmarks/coverage.py [--data_sets 10000] [--output FILE]

Every cell has its own seed, so the same versions give the same table. "wrong met" is how often the one-sided 95 %
bound certifies a drop smaller than the true one: the error that the confidence promises to keep at 5 %.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quantize.evaluation.score_intervals import CONTINUITY, difference_bounds, ratio_bounds

IMAGES = (400, 1_000, 10_000)
DISCORDANT = (0.02, 0.05, 0.10)
DROPS = (0.0, 0.0025, 0.0037, 0.005, 0.005685, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
BASELINE = 0.5685
TWO_SIDED, ONE_SIDED = float(stats.norm.isf(0.025)), float(stats.norm.isf(0.05))


def simulate(n: int, discordant: float, drop: float, data_sets: int) -> NDArray[np.int64]:
    """Return int (data_sets, 3): both right, lost, gained."""
    lost, gained = (discordant + drop) / 2, (discordant - drop) / 2
    seed = [n, round(discordant * 1e6), round(drop * 1e6)]
    probabilities = [BASELINE - lost, lost, gained, 1 - BASELINE - gained]
    return np.random.default_rng(seed).multinomial(n, probabilities, size=data_sets)[:, :3]


def difference_row(counts: NDArray[np.int64], n: int, drop: float, continuity: float) -> tuple[float, float]:
    """Return (two-sided coverage, share of wrong certificates) of Tango's interval."""
    distinct, of_set = np.unique(counts[:, 1:], axis=0, return_inverse=True)
    lost, gained = distinct.T
    low, high = difference_bounds(lost, gained, n, TWO_SIDED, continuity=continuity)
    _, bound = difference_bounds(lost, gained, n, ONE_SIDED, continuity=continuity)
    covered, wrong = (low <= drop) & (drop <= high), bound < drop
    return float(covered[of_set.ravel()].mean()), float(wrong[of_set.ravel()].mean())


def ratio_row(counts: NDArray[np.int64], n: int, drop: float, continuity: float) -> tuple[float, float]:
    """Return (two-sided coverage, share of wrong certificates) of Nam and Blackwelder's interval."""
    ratio = 1 - drop / BASELINE
    both, lost, gained = counts.T
    low, high = ratio_bounds(both, lost, gained, n, TWO_SIDED, continuity=continuity)
    bound, _ = ratio_bounds(both, lost, gained, n, ONE_SIDED, continuity=continuity)
    return float(((low <= ratio) & (ratio <= high)).mean()), float((bound > ratio).mean())


def remark(coverage: float) -> str:
    """Return what is to be said about a cell."""
    return "below 94 %" if coverage < 0.94 else "over-covers" if coverage > 0.96 else ""


def table(data_sets: int) -> str:
    """Return the table as Markdown."""
    lines = [
        f"# Coverage of the 95 % intervals, {data_sets:,} data sets a cell, baseline accuracy {BASELINE:.2%}",
        "",
        f"Continuity correction {CONTINUITY} images; the columns marked 0 are the published formulas without it.",
        "",
        "| images | discordant | drop | points | wrong met | relative | wrong met | points, 0 | relative, 0 | remark |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for n, discordant, drop in product(IMAGES, DISCORDANT, DROPS):
        if drop > discordant:
            continue
        counts = simulate(n, discordant, drop, data_sets)
        points, relative = (row(counts, n, drop, CONTINUITY) for row in (difference_row, ratio_row))
        plain = [row(counts, n, drop, 0.0)[0] for row in (difference_row, ratio_row)]
        worst = min(points[0], relative[0])
        said = remark(worst) or remark(max(points[0], relative[0]))
        shares = " | ".join(f"{share:.2%}" for share in (*points, *relative, *plain))
        lines.append(f"| {n:,} | {discordant:.0%} | {drop:.2%} | {shares} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_sets", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    text = table(arguments.data_sets)
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
