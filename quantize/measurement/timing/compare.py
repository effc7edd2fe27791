"""Comparing a measurement with an earlier one that was stored."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from quantize.errors import MeasurementError
from quantize.measurement.machine.environment import MACHINE, SETTINGS, SOFTWARE, Environment, differing_fields
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.median_interval import expanded_tail
from quantize.measurement.timing.pairing import paired_log_ratios, round_levels
from quantize.measurement.timing.plan import MINIMUM_ROUNDS

_RESAMPLES = 4000


class Change(BaseModel):
    """How a figure differs between two measurements.

    The interval covers what varies within each of the two, not what changed on the machine between them: that moves
    times (seconds apart or months), and hardly moves speed-ups.

    Attributes:
        name: The contestant.
        before: The earlier figure: nanoseconds a run, or the speed-up over the baseline.
        after: The later figure.
        ratio: ``after / before``.
        low: Lower bound of the ratio's interval; None with too few rounds in either.
        high: Upper bound.
        unlike: Fields of the environment that differ and do not forbid the comparison.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    unlike: tuple[str, ...]


def time_change(before: Measurement, after: Measurement, name: str) -> Change:
    """Return how a model's time a run changed between two measurements in one environment.

    Args:
        before: The earlier measurement.
        after: The later one.
        name: A contestant of both.

    Raises:
        MeasurementError: Any field of the environments differs, or one of them has no such contestant.
    """
    _refuse(before.environment, after.environment, MACHINE + SOFTWARE + SETTINGS, "times")
    return _change(name, _levels(before, name, "earlier"), _levels(after, name, "later"), after, ())


def speedup_change(before: Measurement, after: Measurement, name: str) -> Change:
    """Return how a candidate's speed-up over its baseline changed between two measurements, on any machines.

    Args:
        before: The earlier measurement.
        after: The later one.
        name: A candidate of both.

    Raises:
        MeasurementError: The settings or the baseline models differ, or one of them has no such pair.
    """
    _refuse(before.environment, after.environment, SETTINGS, "speed-ups")
    baselines = [_baseline_sha256(measurement) for measurement in (before, after)]
    if baselines[0] != baselines[1]:
        raise MeasurementError(
            "speed-ups over different baselines cannot be compared",
            where="baseline",
            found=f"sha256 {baselines[1]}",
            expected=f"sha256 {baselines[0]}, as in the earlier measurement",
            advice="measure both against the same fp32 model",
        )
    unlike = differing_fields(before.environment, after.environment, MACHINE + SOFTWARE)
    return _change(name, _ratios(before, name, "earlier"), _ratios(after, name, "later"), after, unlike)


def _refuse(before: Environment, after: Environment, fields: tuple[str, ...], what: str) -> None:
    unlike = differing_fields(before, after, fields)
    if not unlike:
        return
    across = what == "times" and not set(unlike) & set(SETTINGS)
    raise MeasurementError(
        f"{what} from unlike environments cannot be compared: {', '.join(unlike)}",
        where=unlike[0],
        found="; ".join(f"{field} {getattr(after, field)}" for field in unlike),
        expected="; ".join(f"{field} {getattr(before, field)}" for field in unlike),
        advice="compare the speed-ups over fp32 instead" if across else "measure again with the same settings",
    )


def _levels(measurement: Measurement, name: str, which: str) -> npt.NDArray[np.float64]:
    levels = np.array(list(round_levels(measurement.blocks, name).values()), dtype=np.float64)
    if len(levels) == 0:
        raise _missing(measurement, name, which)
    return levels


def _ratios(measurement: Measurement, name: str, which: str) -> npt.NDArray[np.float64]:
    baselines = measurement.names("baseline")
    found = paired_log_ratios(measurement.blocks, baselines[0], name) if baselines else np.array([])
    if len(found) == 0:
        raise _missing(measurement, name, which)
    return found


def _missing(measurement: Measurement, name: str, which: str) -> MeasurementError:
    return MeasurementError(
        f"the {which} measurement has no figure for {name}",
        expected="one of: " + ", ".join(contestant.name for contestant in measurement.contestants),
    )


def _baseline_sha256(measurement: Measurement) -> str | None:
    return next((one.sha256 for one in measurement.contestants if one.role == "baseline"), None)


def _change(
    name: str,
    before: npt.NDArray[np.float64],
    after: npt.NDArray[np.float64],
    measurement: Measurement,
    unlike: tuple[str, ...],
) -> Change:
    """Return the change of a median of logarithms, with a bootstrap of both sides by rounds."""
    plan = measurement.plan
    difference = float(np.median(after) - np.median(before))
    low = high = None
    if min(len(before), len(after)) >= MINIMUM_ROUNDS:
        generator = np.random.default_rng(plan.seed)
        sides = [
            np.median(generator.choice(values, size=(_RESAMPLES, len(values))), axis=1) for values in (before, after)
        ]
        tail = expanded_tail((1 - plan.confidence) / 2, min(len(before), len(after)))
        low, high = (math.exp(float(bound)) for bound in np.quantile(sides[1] - sides[0], [tail, 1 - tail]))
    return Change(
        name=name,
        before=math.exp(float(np.median(before))),
        after=math.exp(float(np.median(after))),
        ratio=math.exp(difference),
        low=low,
        high=high,
        unlike=unlike,
    )
