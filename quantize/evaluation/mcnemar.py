"""McNemar's test: could the images that only one model gets right have fallen either way?"""

from __future__ import annotations

from scipy import stats


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided exact p-value (McNemar 1947; binomial with one half, by scipy).

    Args:
        lost: Images that the baseline gets right and the candidate wrong.
        gained: Images that the candidate gets right and the baseline wrong.
    """
    discordant = lost + gained
    return float(stats.binomtest(lost, discordant, 0.5).pvalue) if discordant else 1.0


def mcnemar_exact_drop(lost: int, gained: int) -> float:
    """Return the one-sided exact p-value of "the candidate is not worse"."""
    discordant = lost + gained
    return float(stats.binomtest(lost, discordant, 0.5, alternative="greater").pvalue) if discordant else 1.0
