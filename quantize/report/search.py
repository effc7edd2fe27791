"""How the models were chosen: the native engine's search, and which layers compute in int8 on this machine."""

from __future__ import annotations

import statistics
from typing import Literal

from quantize.report.provenance import StageSection
from quantize.report.section import Section


class CandidateSection(Section):
    """One candidate of a native search.

    Attributes:
        trial: Index of its trial; None for one that was timed only: neither faster, nor as fast and closer to fp32.
        recipe_id: What it was built from.
        step: Where it came from: ``ladder``, ``variant``, ``neighbour`` or ``stored``.
        predicted_ns: Its predicted time for one run; None if there was no prediction.
        measured_ns: Its measured time, in alternation with fp32 or the fastest candidate; None if it was not
            measured.
        speedup: fp32's time over its own; None if it was not measured.
        images: Images that were looked at before its verdict was certain: fewer than all where the race was over.
        met: Whether it meets the criterion; None if that was not asked.
        pareto: No other candidate is at least as good in both the metric and the speed-up.
    """

    trial: int | None
    recipe_id: str
    step: Literal["ladder", "variant", "neighbour", "stored"]
    predicted_ns: float | None
    measured_ns: float | None
    speedup: float | None
    images: int
    met: bool | None
    pareto: bool

    @property
    def prediction_error(self) -> float | None:
        """Return predicted over measured time, minus 1; None if one of them is missing."""
        if self.predicted_ns is None or self.measured_ns is None:
            return None
        return self.predicted_ns / self.measured_ns - 1.0


class ComparedSection(Section):
    """A recipe that was compared on calibration images.

    Attributes:
        recipe: Its range rules and corrections, in words.
        mean_kl: Mean KL(fp32 || candidate) in nats, on images that its statistics did not see.
    """

    recipe: str
    mean_kl: float


class SearchSection(Section):
    """A native search.

    Attributes:
        stopped_because: Why it ended.
        images: Evaluation images; a race ends before them where the verdict is certain.
        candidates: All that were evaluated or timed, in order.
        compared: Recipes that were compared on calibration images, in order.
        stages: Seconds of each of its stages.
    """

    stopped_because: str
    images: int
    candidates: tuple[CandidateSection, ...]
    compared: tuple[ComparedSection, ...]
    stages: tuple[StageSection, ...]

    @property
    def prediction_errors(self) -> tuple[float, ...]:
        """Return how far off the predicted times were, as fractions of the measured ones without their sign."""
        errors = (candidate.prediction_error for candidate in self.candidates)
        return tuple(abs(error) for error in errors if error is not None)

    @property
    def median_error(self) -> float | None:
        """Return the median of the prediction errors, a fraction; None without predictions."""
        return statistics.median(self.prediction_errors) if self.prediction_errors else None


class RatioSection(Section):
    """A paired ratio of times.

    Attributes:
        ratio: Time before over time after: above 1 is faster.
        low: Lower bound of its 95 % interval.
        high: Upper bound; None if there were too few rounds for one.
    """

    ratio: float
    low: float
    high: float | None


class PlacementOptionSection(Section):
    """One placement of a tuned model's layers.

    Attributes:
        kind: As the engine decided, the same with the weights of its float layers stored in int8, the fastest
            assignment by prediction, one with more layers in float where that misses the criterion, or float arithmetic
            throughout.
        recipe_id: What builds it.
        taken: Whether the run's models have it.
        int8_layers: Layers with weights that compute in int8.
        layers: Layers with weights.
        stored_layers: Layers that compute in float on weights stored in int8.
        predicted_ns: Its predicted time for one run; None if nothing was predicted.
        speedup: fp32's time over its own; None if it was not measured.
        gain: The time as tuned over its own; None if it was not measured.
        metric: The criterion's metric, a fraction; None if it was not measured.
        met: Whether it meets the accuracy criterion; None if it was not judged.
        bytes: Size of its model, the rewrites included.
    """

    kind: Literal["as tuned", "smaller", "fastest", "safer", "float"]
    recipe_id: str
    taken: bool
    int8_layers: int
    layers: int
    stored_layers: int
    predicted_ns: float | None
    speedup: RatioSection | None
    gain: RatioSection | None
    metric: float | None
    met: bool | None
    bytes: int


class PlacementSection(Section):
    """The choice of where the layers of an engine's model compute.

    Attributes:
        mode: ``measured``: layers that measure slower in int8 go back to float; ``all-int8``: as Neural Compressor
            decided.
        reason: What was decided and why, in a sentence.
        options: What was looked at, in order; empty where nothing was measured.
    """

    mode: Literal["measured", "all-int8"]
    reason: str
    options: tuple[PlacementOptionSection, ...] = ()

    @property
    def taken(self) -> PlacementOptionSection | None:
        """Return the placement that the run's models have; None if nothing was measured."""
        return next((option for option in self.options if option.taken), None)


class LostSection(Section):
    """A trial that met the criterion, and whose written files do not.

    Attributes:
        trial: Its index.
        recipe_id: What the files were built from.
        trial_metric: The trial's metric, a fraction.
        metric: That of the written file that misses the criterion; None if something else was lost.
        by: What lost it, in a few words.
        speedup: fp32's time over that of the written file that is slower; None if something else was lost.
    """

    trial: int
    recipe_id: str
    trial_metric: float | None
    metric: float | None
    by: str
    speedup: float | None = None
