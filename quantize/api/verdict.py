"""The outcome of a run in one word, and why."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.engines.protocols import Goal
from quantize.errors import ExitCode
from quantize.evaluation.verdict import Outcome, Verdict, overall
from quantize.report.criterion import Status, VerdictSection
from quantize.report.models import FormatsSection, ModelSection
from quantize.report.replay import ReplaySection
from quantize.report.trials import ChosenSection
from quantize.report.wording import percent

_FEW = 10
"""Images below which a verdict by the point estimate may hang on one or two of them."""

_NAMES = {"int8": "The QLinear model", "qdq": "The QDQ model"}


def verdict_section(
    goal: Goal,
    models: Sequence[ModelSection],
    formats: FormatsSection | None,
    chosen: ChosenSection,
    *,
    stopped_because: str,
    demonstration: bool,
) -> VerdictSection:
    """Return the verdict on both written files together."""
    reasons = [sentence for model in models if (sentence := _sentence(model)) is not None]
    worth = _tolerance_images(models)
    if worth is not None:
        reasons.append(_worth(worth, models[0]))
    outcomes: list[Outcome] = [
        model.deciding.judgement.deciding.outcome for model in models if model.deciding.judgement is not None
    ]
    status: Status = overall(outcomes) if outcomes and goal.metric != "none" else "not asked"
    if formats is not None and formats.agreement < formats.required:
        status = "not met"
        reasons.append(
            f"The two formats disagree: the same top-1 on {percent(formats.agreement)} of the images, "
            f"{percent(formats.required, 1)} are required."
        )
    if chosen.all_fp32 and chosen.recipe.stored_nodes:
        reasons.append("Everything computes in fp32, on weights stored in int8: smaller, not faster.")
    elif chosen.all_fp32 and chosen.is_placed:
        reasons.append("The model is fp32 itself: nothing is gained.")
    elif chosen.all_fp32:
        status = "not met" if status == "met" else status
        reasons.append("Every op was put back to fp32: nothing is quantized, so nothing is gained.")
    if demonstration:
        reasons.append(
            "The images are views of 20 photographs: they prove that the machinery works, not how accurate the model "
            "is."
        )
    return VerdictSection(
        status=status,
        text=_TEXTS[status],
        reasons=tuple(reasons),
        stopped_because=stopped_because,
        tolerance_images=worth,
    )


_TEXTS: dict[Status, str] = {
    "met": "The int8 models meet the accuracy criterion.",
    "not met": "The int8 models do NOT meet the accuracy criterion; the best candidate was written.",
    "inconclusive": "The images do not settle whether the accuracy criterion is met.",
    "not asked": "No accuracy was asked for.",
}


def exit_code(section: VerdictSection, replay: ReplaySection | None) -> ExitCode:
    """Return what the command's exit status should be: a repetition that gave other models has not done its job."""
    codes = [
        {
            "met": ExitCode.DONE,
            "not asked": ExitCode.DONE,
            "not met": ExitCode.NOT_MET,
            "inconclusive": ExitCode.INCONCLUSIVE,
        }[section.status]
    ]
    if replay is not None and replay.outcome == "different":
        codes.append(ExitCode.NOT_MET)
    return ExitCode.worst(codes)


def _sentence(model: ModelSection) -> str | None:
    judgement = model.deciding.judgement
    if judgement is None:
        return None
    deciding = judgement.deciding
    name, images = _NAMES[model.role], model.deciding.evaluation.n
    unseen = " that no trial saw" if model.certification is not None else ""
    text = f"{name} {_measured(deciding)} on {images:,} images{unseen}: {deciding.outcome}"
    if deciding.confidence is not None:
        text += f" at {percent(deciding.confidence, 0)} confidence"
    else:
        text += f" by the point estimate; at 95 % confidence: {judgement.at_95.outcome}"
    needed = (deciding if deciding.confidence is not None else judgement.at_95).images_needed
    return text + (f" (about {needed:,} images would settle it)." if needed else ".")


def _measured(verdict: Verdict) -> str:
    tolerance, change = verdict.tolerance, "loses" if verdict.estimate >= 0 else "gains"
    if tolerance.measure == "agreement":
        return f"has fp32's top-1 on {percent(verdict.estimate)} (at least {percent(tolerance.value, 1)} asked)"
    if tolerance.measure == "relative":
        return f"{change} {percent(abs(verdict.estimate))} of fp32's top-1 (may lose {percent(tolerance.value)})"
    return f"{change} {abs(verdict.estimate) * 100:.2f} points of top-1 (may lose {tolerance.value * 100:.2f} points)"


def _tolerance_images(models: Sequence[ModelSection]) -> float | None:
    """Return how many images may be lost where the point estimate decides; None where something else decides."""
    if not models or models[0].deciding.judgement is None:
        return None
    section, deciding = models[0].deciding, models[0].deciding.judgement.deciding
    images, tolerance = section.evaluation.n, deciding.tolerance
    if deciding.confidence is not None:
        return None
    if tolerance.measure == "agreement":
        return (1 - tolerance.value) * images
    if tolerance.measure == "points":
        return tolerance.value * images
    return None if section.top1 is None else tolerance.value * section.top1.baseline_expected * images


def _worth(worth: float, model: ModelSection) -> str:
    text = f"The tolerance is worth {worth:.1f} of the {model.deciding.evaluation.n:,} images"
    return text + (": a few images decide." if worth < _FEW else ".")
