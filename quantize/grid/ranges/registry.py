"""Range rules by name. To add one, write a file in this folder and list it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from quantize.errors import ConfigError

if TYPE_CHECKING:
    from quantize.grid.grid import GridOf
    from quantize.grid.histogram import Distribution


class RangeRule(NamedTuple):
    """What is known of a rule without loading it.

    Attributes:
        neural_compressor: What Neural Compressor calls it; None if it does not have it.
        parameter: The default of its parameter, as in ``percentile:99.999``; None if it takes none.
    """

    neural_compressor: str | None = None
    parameter: float | None = None


RULES: Mapping[str, RangeRule] = {
    "minmax": RangeRule(neural_compressor="minmax"),
    "entropy": RangeRule(neural_compressor="kl"),
    "percentile": RangeRule(neural_compressor="percentile", parameter=99.999),
    "mse": RangeRule(),
    "laplace": RangeRule(),
}
"""By name, which is that of the rule's module and function in this package."""


def range_of(values: Distribution, rule: str, grid_of: GridOf) -> tuple[float, float]:
    """Return the range that a rule gives a tensor: its lower and its upper end.

    Args:
        values: The tensor's.
        rule: A name of ``RULES``; ``name:P`` sets another parameter than the default.
        grid_of: Returns the grid of a range, which fixes the integers and the symmetry.

    Raises:
        ConfigError: There is no such rule, or its parameter is out of range.
    """
    name, colon, text = rule.partition(":")
    if name not in RULES or (colon and RULES[name].parameter is None):
        raise _unknown(rule)
    parameter = RULES[name].parameter
    if parameter is None:
        return _loaded(name)(values, grid_of)
    try:
        return _loaded(name)(values, grid_of, float(text) if colon else parameter)
    except ValueError as error:
        raise _unknown(rule, str(error)) from None


def setting_names() -> tuple[str, ...]:
    """Return the rules' names in a configuration: Neural Compressor's, or ours for rules that it lacks."""
    return tuple(known.neural_compressor or name for name, known in RULES.items())


def rule_of_setting(setting: str) -> str:
    """Return the rule that a configuration names, with its parameter: ``entropy`` for ``kl``."""
    name = next((name for name, known in RULES.items() if known.neural_compressor == setting), setting)
    parameter = RULES[name].parameter
    return name if parameter is None else f"{name}:{parameter:g}"


def _loaded(name: str) -> Callable[..., tuple[float, float]]:
    """Return a rule's function. Its module is loaded late: settings need the names, and no numpy."""
    function: Callable[..., tuple[float, float]] = getattr(import_module(f"quantize.grid.ranges.{name}"), name)
    return function


def _unknown(rule: str, why: str | None = None) -> ConfigError:
    with_parameter = [f"{name}:P" for name, known in RULES.items() if known.parameter is not None]
    return ConfigError(
        f"there is no such range rule{f': {why}' if why else ''}",
        found=rule,
        expected=f"one of {', '.join(RULES)}, or {', '.join(with_parameter)} with another parameter",
    )
