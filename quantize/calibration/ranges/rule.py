"""Names of range rules, and the choice among them by measured quantization error."""

from __future__ import annotations

from collections.abc import Callable

from quantize.calibration.ranges.entropy import entropy
from quantize.calibration.ranges.minmax import minmax
from quantize.calibration.ranges.mse import mse
from quantize.calibration.ranges.percentile import percentile
from quantize.calibration.statistics import TensorStatistics
from quantize.errors import ConfigError
from quantize.grid.grid import Grid, squared_error

_PERCENTILE = "percentile:"
_DEFAULT_PERCENTILE = 99.999

CANDIDATES = ("minmax", "percentile:99.999", "percentile:99.99", "percentile:99.9", "entropy", "mse")
"""The rules that ``auto`` compares, in the order in which ties are decided."""

RULES = ("minmax", "percentile", "mse", "entropy", "auto")
"""Every name a config may give; ``percentile:P`` sets another percentile than 99.999."""


def range_of(statistics: TensorStatistics, rule: str, grid_of: Callable[[float, float], Grid]) -> tuple[float, float]:
    """Return the range that ``rule`` gives a tensor.

    Args:
        statistics: The tensor's.
        rule: One of ``RULES``, or ``percentile:P``.
        grid_of: Returns the grid of a range, which fixes the levels and the symmetry.

    Raises:
        ConfigError: If there is no such rule.
    """
    if rule == "minmax":
        return minmax(statistics)
    if rule == "mse":
        return mse(statistics, grid_of)
    if rule == "entropy":
        return entropy(statistics)
    if rule == "auto":
        return range_of(statistics, chosen_rule(statistics, grid_of), grid_of)
    return percentile(statistics, _percent(rule))


def chosen_rule(statistics: TensorStatistics, grid_of: Callable[[float, float], Grid]) -> str:
    """Return the rule of ``CANDIDATES`` whose grid has the least mean squared error on the tensor's values."""
    errors = [squared_error(statistics.histogram, grid_of(*range_of(statistics, rule, grid_of))) for rule in CANDIDATES]
    return CANDIDATES[errors.index(min(errors))]


def _percent(rule: str) -> float:
    if rule == "percentile":
        return _DEFAULT_PERCENTILE
    try:
        percent = float(rule.removeprefix(_PERCENTILE)) if rule.startswith(_PERCENTILE) else None
    except ValueError:
        percent = None
    if percent is None or not 50.0 < percent <= 100.0:
        raise ConfigError(
            "there is no such range rule",
            found=rule,
            expected=f"one of {', '.join(RULES)}, or percentile:P with P above 50 and at most 100",
        )
    return percent
