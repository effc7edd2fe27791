"""Several engines under the same criterion, on the same images, side by side."""

from __future__ import annotations

from quantize.recipe import EngineName
from quantize.report.criterion import Status
from quantize.report.models import ModelSection
from quantize.report.placement import LostSection, PlacementSection
from quantize.report.search import SearchSection
from quantize.report.section import Section
from quantize.report.trials import ChosenSection, TrialSection


class EngineSection(Section):
    """What one engine came to.

    Attributes:
        engine: Its name.
        written: Whether the run's models are its own; those of another are in a folder named after it.
        status: The verdict on its models, both formats taken together.
        reasons: What made it so, one sentence each.
        stopped_because: Why its search ended.
        chosen: What its models were built from.
        models: Its models: ``int8``, then ``qdq``.
        measured: Role to the name in the run's measurement.
        trials: Its trials in order.
        search: How it searched, where it predicted and measured times.
        seconds: How long its search took.
        peak_bytes: Largest resident set of the process that searched; that of ``inc`` and ``ort`` is a child of this
            tool's, which keeps the images and evaluates. None where the system does not tell.
        placement: Where its layers compute, and why; None where its search itself decided that.
        lost: Trials that met the criterion, and whose written files do not.
    """

    engine: EngineName
    written: bool
    status: Status
    reasons: tuple[str, ...]
    stopped_because: str
    chosen: ChosenSection
    models: tuple[ModelSection, ...]
    measured: dict[str, str]
    trials: tuple[TrialSection, ...]
    search: SearchSection | None
    seconds: float
    peak_bytes: int | None
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()
