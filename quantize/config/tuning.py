"""Block ``tuning``: the criterion and how to search for a model that meets it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from quantize.config.values import (
    Block,
    Confidence,
    Count,
    CountOrZero,
    Expected,
    Flag,
    Fraction,
    Seconds,
    Seed,
    Share,
    Speedup,
    Switch,
)
from quantize.criterion import Criterion, SpeedCriterion
from quantize.recipe import EngineName

_DEFAULT_RELATIVE = 0.01


class StrategyBlock(Block):
    """How Neural Compressor goes through the possibilities."""

    name: Annotated[
        Literal["basic", "auto", "bayesian", "conservative", "exhaustive", "mse", "mse_v2"], Flag("strategy")
    ] = Field(default="basic", description="Neural Compressor's strategy.")


class CriterionBlock(Block):
    """What a quantized model must reach: with labels, one of ``relative`` and ``absolute``."""

    relative: Fraction | None = Field(
        default=None, description="Largest relative loss of top-1. 0.01 unless --absolute is given."
    )
    absolute: Fraction | None = Field(default=None, description="Largest loss of top-1: 0.01 is one point.")
    agreement: Share = Field(default=0.95, description="Without labels: smallest share of images with fp32's top-1.")
    confidence: Confidence | None = Field(
        default=None, description="Confidence that the verdict must have; without it, the point estimate decides."
    )
    higher_is_better: Annotated[Literal[True], Flag(None), Expected("true: of top-1, more is better")] = True

    @model_validator(mode="before")
    @classmethod
    def _one_loss(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        losses = [name for name in ("relative", "absolute") if given.get(name) is not None]
        if len(losses) == 2:
            raise ValueError("`relative` and `absolute` are mutually exclusive")
        return given if losses else {**given, "relative": _DEFAULT_RELATIVE}

    def criterion(
        self, baseline: float | None, *, asked: bool = True, metric: Literal["top1", "map"] = "top1"
    ) -> Criterion:
        """Return what a candidate has to reach: with labels by its drop of accuracy, without by agreement with fp32.

        Args:
            baseline: The fp32 model's accuracy on the evaluation images, a fraction; None: they have no labels.
            asked: False where ``--criterion none`` says that scores mean nothing.
            metric: What accuracy is.
        """
        if not asked:
            return Criterion("none", confidence=self.confidence)
        if baseline is None:
            return Criterion("agreement", minimum=self.agreement, confidence=self.confidence)
        return Criterion(metric, baseline, self.relative, self.absolute, confidence=self.confidence)


class SpeedCriterionBlock(Block):
    """How fast a quantized model must be, if it is made for CPUs of this machine's class."""

    min_speedup: Speedup = Field(
        default=1.0,
        description="Smallest speed-up over fp32 of both files, one image at a time; 0: none required.",
    )


class ExitPolicyBlock(Block):
    """When tuning stops."""

    timeout: CountOrZero = Field(
        default=0, description="Seconds to tune; 0 stops at the first model that meets the criterion."
    )
    max_trials: Count = Field(default=100, description="Largest number of candidates to try.")


class TuningBlock(Block):
    """The criterion, and how it is searched for."""

    engine: Literal[EngineName, "both", "all"] = Field(
        default="inc",
        description="Neural Compressor (inc), this tool's own engine (native), onnxruntime's quantizer (ort), inc and "
        "native compared (both), or every one that is installed (all).",
    )
    strategy: StrategyBlock = StrategyBlock()
    accuracy_criterion: CriterionBlock = CriterionBlock.model_validate({})
    speed_criterion: SpeedCriterionBlock = SpeedCriterionBlock()
    exit_policy: ExitPolicyBlock = ExitPolicyBlock()
    quick: Switch = Field(
        default=False,
        description="A first, rough answer in under a minute: at most 224 images, drawn, 3 trials and 60 timed runs; "
        "not for a baseline.",
    )
    placement: Literal["measured", "all-int8"] = Field(
        default="measured",
        description="Layers that measure slower in int8 on this machine go back to float (measured), or stay as the "
        "engine decided (all-int8). Engines inc and ort.",
    )
    time_budget: Seconds = Field(
        default=1800, description="Time limit of each engine's search; the best model so far is then finished."
    )
    certification: Fraction | None = Field(
        default=None,
        description="Share of evaluation images held back to certify the chosen model. "
        "0.3 with 5,000 evaluation images or more, else 0.",
    )
    random_seed: Seed = Field(default=1978, description="Random seed.")

    @property
    def speed(self) -> SpeedCriterion:
        """Return the requested speed, at the confidence of the accuracy criterion."""
        return SpeedCriterion(self.speed_criterion.min_speedup, self.accuracy_criterion.confidence)
