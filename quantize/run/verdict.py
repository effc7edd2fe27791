"""The outcome of a run in one word, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quantize.criterion import Criterion, Outcome, overall
from quantize.errors import ExitCode
from quantize.evaluation.verdict import Verdict
from quantize.report.criterion import Status, VerdictSection
from quantize.report.models import FormatsSection, ModelSection
from quantize.report.replay import ReplaySection
from quantize.report.speed import SpeedVerdict
from quantize.report.trials import ChosenSection
from quantize.report.wording import bounds, percent, times
from quantize.run.verdict_words import Facts, summary, text

_FEW = 10
"""Images below which a verdict by the point estimate may hang on one or two of them."""

_NAMES = {"int8": "The QLinear model", "qdq": "The QDQ model"}


def verdict_section(
    criterion: Criterion,
    models: Sequence[ModelSection],
    formats: FormatsSection | None,
    chosen: ChosenSection,
    *,
    stopped_because: str,
    demonstration: bool,
    fp32_bytes: int,
    speed: SpeedVerdict | None = None,
    fastest: float | None = None,
) -> VerdictSection:
    """Return the verdict on both written files together.

    Args:
        criterion: What accuracy was asked for.
        models: The files.
        formats: Whether they agree.
        chosen: What they were built from.
        stopped_because: Why tuning ended.
        demonstration: The images are those of the demonstration.
        fp32_bytes: Size of the fp32 model.
        speed: On the files' speed; None: nothing was timed yet.
        fastest: Largest speed-up of a candidate that meets the criterion on accuracy; None: none was timed.
    """
    reasons = [sentence for model in models if (sentence := _sentence(model)) is not None]
    worth = _tolerance_images(models)
    if worth is not None:
        reasons.append(_worth(worth, models[0]))
    outcomes: list[Outcome] = [
        model.deciding.judgement.deciding.outcome for model in models if model.deciding.judgement is not None
    ]
    accuracy: Status = overall(outcomes) if outcomes and criterion.metric != "none" else "not asked"
    agree = formats is None or formats.agreement >= formats.required
    if formats is not None and not agree:
        reasons.append(
            f"The two formats disagree: the same top-1 on {percent(formats.agreement)} of the images, "
            f"{percent(formats.required, 1)} are required."
        )
    if speed is not None:
        reasons += speed_sentences(speed)
        if speed.status == "not met" and speed.min_speedup > 1 and fastest is not None:
            reasons.append(
                f"What this CPU ({speed.measured_on}) allows: {times(fastest)}, by the fastest candidate that meets "
                "the accuracy criterion."
            )
    if chosen.layers is not None and chosen.int8_layers is not None and 0 < chosen.int8_layers < chosen.layers:
        reasons.append(f"{chosen.int8_layers:,} of {chosen.layers:,} layers compute in int8.")
    if demonstration:
        reasons.append(
            "The images are views of 20 photographs: they prove that the machinery works, not how accurate the model "
            "is."
        )
    facts = Facts(
        accuracy=accuracy,
        formats=agree,
        speed=speed,
        layers=chosen.layers or 0,
        int8_layers=0 if chosen.all_fp32 else chosen.int8_layers or 1,
        smaller=all(model.bytes < fp32_bytes for model in models),
    )
    return VerdictSection(
        status=_status(accuracy, speed, agree=agree),
        text=text(facts),
        reasons=tuple(reasons),
        stopped_because=stopped_because,
        tolerance_images=worth,
        accuracy=accuracy if agree else "not met",
        speed=speed,
        summary=summary(facts),
    )


def _status(accuracy: Status, speed: SpeedVerdict | None, *, agree: bool) -> Status:
    outcomes: list[Outcome] = [] if agree else ["not met"]
    outcomes += [] if accuracy == "not asked" else [accuracy]
    if speed is not None and speed.outcome is not None:
        outcomes.append(speed.outcome)
    return overall(outcomes) if outcomes else "not asked"


def speed_sentences(speed: SpeedVerdict) -> Iterator[str]:
    """Yield what was measured of each file's speed and what that means."""
    for one in speed.files:
        interval = f" {bounds(one.low, one.high)}" if one.low is not None and one.high is not None else ""
        measured = f"{_NAMES[one.role]} runs at {times(one.ratio)}{interval} of fp32's speed"
        if not speed.for_target:
            yield f"{measured} on this machine, which says nothing of the target {speed.target}."
        elif one.outcome is None:
            yield f"{measured}: none was asked for."
        else:
            barely = ", as it lacks no more than the noise" if one in speed.within_noise else ""
            yield f"{measured} (at least {times(speed.min_speedup)} asked{_noise(speed)}): {one.outcome}{barely}."


def _noise(speed: SpeedVerdict) -> str:
    return f", noise {percent(speed.noise_floor, 1)}" if speed.noise_floor is not None else ""


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
