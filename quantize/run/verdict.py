"""The outcome of a run in one word, and the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantize.criterion import Criterion, Outcome, SpeedCriterion, is_shown_slower, overall
from quantize.errors import ExitCode
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.measurement.timing.measurement import Measurement, measured_noise_floor, speedups
from quantize.report.criterion import FileSpeed, SpeedStatus, SpeedVerdict, Status, VerdictSection
from quantize.report.format_words import disagreement_sentence
from quantize.report.layer_words import check_sentences
from quantize.report.models import FormatsSection, ModelSection, Role
from quantize.report.provenance import ReplaySection
from quantize.report.schema import RunReport
from quantize.report.scores import ScoresSection
from quantize.report.trials import ChosenSection
from quantize.report.verdict_words import (
    Facts,
    accuracy_sentence,
    lost_sentence,
    placement_sentence,
    speed_sentences,
    summary,
    text,
    tolerance_sentence,
)
from quantize.report.wording import times
from quantize.target import CpuClass


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
    scores: ScoresSection | None = None,
) -> VerdictSection:
    """Return the verdict on both written files together.

    Args:
        criterion: The requested accuracy.
        models: The files.
        formats: Whether they agree.
        chosen: What they were built from.
        stopped_because: Why tuning ended.
        demonstration: The images are those of the demonstration.
        fp32_bytes: Size of the fp32 model.
        speed: On the files' speed; None: nothing was timed yet.
        scores: What is judged, where the files give more than that.
        fastest: Largest speed-up of a candidate that meets the criterion on accuracy; None: none was timed.
    """
    reasons = [sentence for model in models if (sentence := accuracy_sentence(model)) is not None]
    worth = _tolerance_images(models)
    if worth is not None:
        reasons.append(tolerance_sentence(worth, models[0]))
    outcomes: list[Outcome] = [
        model.deciding.judgement.deciding.outcome for model in models if model.deciding.judgement is not None
    ]
    accuracy: Status = overall(outcomes) if outcomes and criterion.metric != "none" else "not asked"
    agree = formats is None or formats.agreement >= formats.required
    if formats is not None and not agree:
        reasons.append(disagreement_sentence(formats, models[0].deciding.evaluation.task))
    if scores is not None:
        reasons += scores.warnings
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


def speed_verdict(
    measurement: Measurement, names: Mapping[Role, str], criterion: SpeedCriterion, target: CpuClass, *, asked: bool
) -> SpeedVerdict:
    """Return the verdict on the speed of a pair of files.

    Args:
        measurement: Holds both and fp32.
        names: Role of each file to its name there.
        criterion: The requested speed-up.
        target: Class of CPUs that the files are for: on another one their speed is not judged.
        asked: False where ``--criterion none`` asks for no verdict.
    """
    here = measurement.environment.cpu_class or this_cpu_class()
    judged = asked and criterion.min_speedup > 0 and here == target
    files = file_speeds(measurement, names, criterion if judged else None)
    return SpeedVerdict(
        status=_speed_status(files, len(names), judged=judged, for_target=here == target),
        min_speedup=criterion.min_speedup,
        noise_floor=measured_noise_floor(measurement),
        measured_on=here,
        target=target,
        files=files,
    )


def file_speeds(
    measurement: Measurement, names: Mapping[Role, str], criterion: SpeedCriterion | None
) -> tuple[FileSpeed, ...]:
    """Return the speed of each file that was measured.

    Args:
        measurement: Holds the files and fp32.
        names: Role of each file to its name there.
        criterion: What they are judged by; None: they are not.
    """
    gains = {gain.candidate: gain for gain in speedups(measurement)}
    floor = measured_noise_floor(measurement)
    return tuple(
        FileSpeed(
            role="qdq" if role == "qdq" else "int8",
            ratio=gain.ratio,
            low=gain.low,
            high=gain.high,
            outcome=criterion.shown(gain, floor) if criterion is not None else None,
            slower=is_shown_slower(gain, floor),
        )
        for role, name in names.items()
        if (gain := gains.get(name)) is not None
    )


def _speed_status(files: Sequence[FileSpeed], expected: int, *, judged: bool, for_target: bool) -> SpeedStatus:
    if not for_target:
        return "not measured for the target"
    if not judged:
        return "not asked"
    outcomes = [file.outcome for file in files if file.outcome is not None]
    missing: list[Outcome] = ["inconclusive"] * (expected - len(outcomes))  # a file without a figure is not fast enough
    return overall([*outcomes, *missing])


def with_losses(report: RunReport) -> RunReport:
    """Return a report whose verdict says what written files lost, and where layers compute."""
    reasons = [lost_sentence(lost, report.chosen) for lost in report.lost]
    reasons += check_sentences(report.layer_check)
    if report.placement is not None and report.placement.options:
        reasons.append(placement_sentence(report.placement, report.chosen.recipe.engine))
    verdict = report.verdict
    stopped = verdict.stopped_because
    if report.lost and verdict.accuracy == "not met":
        stopped = f"{stopped}, but what was written from it does not"
    told = verdict.model_copy(update={"reasons": (*verdict.reasons, *reasons), "stopped_because": stopped})
    return report.model_copy(update={"verdict": told})


def _tolerance_images(models: Sequence[ModelSection]) -> float | None:
    """Return how many images may be lost where the point estimate decides; None if something else decides."""
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
    return None if section.paired is None else tolerance.value * section.paired.baseline_expected * images
