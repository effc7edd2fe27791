"""What a run comes to: what to ship, and a sentence each on accuracy, speed and size, what is worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantize.measurement.timing.measurement import latency, measured_noise_floor, speedups
from quantize.measurement.timing.speedup import Speedup
from quantize.report.advice import ConclusionSection, Decision, PointSection, PointState
from quantize.report.all_cores_words import advice, with_all_cores
from quantize.report.criterion import SpeedVerdict, Status
from quantize.report.lost_time import lost_time_sentence
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport
from quantize.report.task_words import words
from quantize.report.wording import megabytes, milliseconds, percent, times

_ALIKE = 0.1
"""What a speed may lack before it looks slower, and the noise from which on that decides nothing; fractions."""
_VAGUE = 0.25
"""Width of a speed-up's interval, as a fraction of it, from which on the report says no more than its ends."""
_FORMATS = {"int8": "QLinear", "qdq": "QDQ"}
_RANKS: dict[PointState, int] = {"not met": 0, "slower": 1, "open": 2, "good": 3}


def conclusion(report: RunReport) -> ConclusionSection:
    """Return what a person reads first."""
    points = [point for point in (_accuracy(report), _speed(report), _size(report)) if point is not None]
    decision, text = _recommended(report)
    if report.rough is not None:
        decision, text = _first(report, decision, text)
    there = _on_all_cores(report, decision)
    text = text if there is None else f"{text} {there}"
    return ConclusionSection(
        decision=decision,
        recommendation=text,
        points=tuple(sorted(points, key=lambda point: _RANKS[point.state])),
    )


def _on_all_cores(report: RunReport, decision: Decision) -> str | None:
    """Return what all cores add to the recommendation; None where they change nothing, or were not measured."""
    section, measurement = report.all_cores, report.measurement
    if section is None or measurement is None or _accuracy_status(report) == "not met":
        return None
    only = _fast_role(report)
    return advice(section, decision, shipped=only or report.models[0].role, threads=measurement.plan.threads)


def _accuracy_status(report: RunReport) -> Status:
    return report.verdict.accuracy or report.verdict.status


def _accuracy(report: RunReport) -> PointSection:
    metric, task = report.criterion.metric, words(report.task)
    worst = _least(report)
    figure, baseline = worst.deciding.metric(metric), report.baseline.deciding.metric(metric)
    status = _accuracy_status(report)
    state: PointState = "good" if status == "met" else "not met" if status == "not met" else "open"
    if figure is None:
        return PointSection(subject="accuracy", state="open", text="Accuracy was not measured.")
    if metric in ("top1", "map") and baseline is not None:
        measured = f"{percent(figure)} {task.accuracy} with int8, {percent(baseline)} with fp32"
    else:
        measured = f"int8 has {task.same} on {percent(figure)} of the images"
    judged = {
        "met": f": met ({_allowed(report)})",
        "not met": f": NOT met ({_allowed(report)})",
        "inconclusive": f": {worst.deciding.evaluation.n:,} images are too few to tell ({_allowed(report)})",
        "not asked": "; no criterion was set",
    }[status]
    if status == "not met" and _formats_disagree(report):
        judged = "; the two files do NOT agree with each other"
    return PointSection(subject="accuracy", state=state, text=f"{measured}{judged}.")


def _least(report: RunReport) -> ModelSection:
    metric = report.criterion.metric
    return min(report.models, key=lambda model: model.deciding.metric(metric) or 0.0)


def _allowed(report: RunReport) -> str:
    asked = report.criterion
    if asked.relative is not None:
        text = f"may lose {percent(asked.relative)} of fp32's"
    elif asked.absolute is not None:
        text = f"may lose {asked.absolute * 100:.2f} points"
    elif asked.minimum is not None:
        text = f"at least {percent(asked.minimum, 1)} asked"
    else:
        text = "as asked"
    return text if asked.confidence is None else f"{text}, at {percent(asked.confidence, 0)} confidence"


def _formats_disagree(report: RunReport) -> bool:
    formats = report.formats
    return formats is not None and formats.agreement < formats.required


def _speed(report: RunReport) -> PointSection | None:
    point, section, verdict = _speed_here(report), report.all_cores, report.verdict.speed
    if point is None or section is None:
        return point
    return with_all_cores(point, section, for_target=verdict is None or verdict.for_target)


def _speed_here(report: RunReport) -> PointSection | None:
    measurement, verdict = report.measurement, report.verdict.speed
    if measurement is None:
        return None
    gains = _gains(report)
    if not gains:
        return None
    worst = min(gains, key=lambda role: gains[role])
    int8, fp32 = (milliseconds(latency(measurement, role).quiet_ns) for role in (worst, "fp32"))
    text = f"{_gained(gains)} of fp32's speed ({int8} per run, fp32 {fp32}{_spread(report, worst)})"
    if verdict is None or _hidden_by_noise(report):
        told = f"; not settled, the noise is {percent(_noise(report), 0)}" if _hidden_by_noise(report) else ""
        return PointSection(subject="speed", state="good" if _is_faster(report) else "open", text=f"{text}{told}.")
    return PointSection(subject="speed", state=_speed_state(verdict), text=f"{text}{_speed_judged(verdict)}.")


def _spread(report: RunReport, role: str) -> str:
    """Return the interval of a speed-up that is too wide for its middle to be taken at its word."""
    gain = next((gain for gain in _measured(report) if gain.candidate == role), None)
    if gain is None or gain.low is None or gain.high is None or not _is_vague(gain):
        return ""
    return f"; a busy machine, so anything from {times(gain.low)} to {times(gain.high)}"


def _is_vague(gain: Speedup) -> bool:
    return gain.relative_width is not None and gain.relative_width > _VAGUE


def _measured(report: RunReport) -> Sequence[Speedup]:
    """Return the speed-ups of both files over fp32; none where nothing was measured."""
    gains = speedups(report.measurement) if report.measurement is not None else ()
    return [gain for gain in gains if gain.candidate in ("int8", "qdq")]


def _speed_state(verdict: SpeedVerdict) -> PointState:
    if not verdict.for_target:
        return "open"
    if verdict.status == "not met":
        return "not met"
    if verdict.slower:
        return "slower"
    return "open" if verdict.status == "inconclusive" else "good"


def _speed_judged(verdict: SpeedVerdict) -> str:
    asked = f"at least {times(verdict.min_speedup)} asked"
    if not verdict.for_target:
        return f"; the target {verdict.target} was not measured (this CPU is {verdict.measured_on})"
    told = {"met": f": met ({asked})", "not met": f": NOT met ({asked})", "inconclusive": f": not settled ({asked})"}
    slower = ", SLOWER than fp32" if verdict.slower else ""
    return told.get(verdict.status, "") + slower


def _gained(gains: Mapping[str, float]) -> str:
    """Return the speed-up of each file by name, or of both where it is the same."""
    texts = {role: times(gain) for role, gain in gains.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return " and ".join(f"{text} ({_FORMATS[role]})" for role, text in texts.items())


def _size(report: RunReport) -> PointSection:
    fp32 = report.baseline.bytes
    files = " and ".join(dict.fromkeys(megabytes(model.bytes) for model in report.models))
    smaller = _is_smaller(report)
    shares = " and ".join(dict.fromkeys(percent(model.bytes / fp32, 0) for model in report.models))
    of = f"{shares} of fp32's" if smaller else "NOT smaller than fp32's"
    return PointSection(subject="size", state="good" if smaller else "open", text=f"{files}: {of} {megabytes(fp32)}.")


def _recommended(report: RunReport) -> tuple[Decision, str]:
    speed, accuracy = report.verdict.speed, _accuracy_status(report)
    if accuracy == "not met":
        return "keep fp32", f"Keep fp32 here: {_missed_accuracy(report)}"
    if speed is not None and not speed.for_target:
        text = f"Measure on a CPU of class {speed.target} before you ship int8: the files are made for it."
        return "measure on the target", text
    if speed is not None and (speed.slower or speed.status == "not met") and _fast_file(report) is None:
        return _too_slow(report, speed)
    if _hidden_by_noise(report):
        noise = percent(_noise(report), 0)
        return "measure again", f"Measure again on a quiet machine: int8 looks slower, but the noise here is {noise}."
    if accuracy == "inconclusive":
        return "add images", f"Do not ship yet: add images; {_n(report):,} are too few to settle the accuracy."
    if not _is_smaller(report) and not _is_faster(report):
        return "keep fp32", "Keep fp32 here: int8 is neither faster nor smaller."
    if report.data.demonstration:
        return "try your own images", "Try your own images next: the demonstration proves only that everything works."
    if speed is not None and speed.status == "inconclusive":
        return "measure again", "Do not ship yet: measure again on a quiet machine; the speed is not settled."
    if accuracy == "not asked":
        return "judge yourself", "Judge the accuracy yourself before you ship int8: no criterion was set."
    return _worth_it(report)


def _first(report: RunReport, decision: Decision, text: str) -> tuple[Decision, str]:
    """Return what to do after a quick run that comes to a decision: what it rests on decides nothing by itself."""
    if decision == "ship int8":
        gains = _claimed(report) if _is_faster(report) else "a smaller file"
        return "tune in full", f"Tune without --quick next: int8 looks worth it ({gains}), by a rough answer."
    return decision, f"{text} That is a rough answer: tune without --quick before you rely on it."


def _gains(report: RunReport) -> dict[str, float]:
    """Return each file's speed-up over fp32, by role; empty where nothing was measured."""
    return {gain.candidate: gain.ratio for gain in _measured(report)}


def _noise(report: RunReport) -> float:
    return (measured_noise_floor(report.measurement) if report.measurement is not None else None) or 0.0


def _is_faster(report: RunReport) -> bool:
    gains = _gains(report)
    return bool(gains) and min(gains.values()) > 1 + _noise(report)


def _is_smaller(report: RunReport) -> bool:
    return all(model.bytes < report.baseline.bytes for model in report.models)


def _hidden_by_noise(report: RunReport) -> bool:
    """Return whether a file measured far slower than fp32, on a machine so noisy that this decides nothing."""
    slowest = min(_gains(report).values(), default=1.0)
    return slowest < 1 - _ALIKE and _noise(report) > _ALIKE


def _n(report: RunReport) -> int:
    return report.models[0].deciding.evaluation.n


def _missed_accuracy(report: RunReport) -> str:
    if _formats_disagree(report):
        return "the two int8 files do not give the same answers."
    then = "Try another engine (--engine all), more calibration images, or allow a larger loss."
    return f"int8 loses more accuracy than allowed. {then}"


def _fast_file(report: RunReport) -> str | None:
    """Return the name of the one file that is fast enough where the other is not; None where both are, or none is."""
    role = _fast_role(report)
    return None if role is None else report.model(role).file


def _fast_role(report: RunReport) -> str | None:
    files = report.verdict.speed.files if report.verdict.speed is not None else ()
    good = [file for file in files if not file.slower and file.outcome != "not met"]
    return good[0].role if 0 < len(good) < len(files) else None


def _too_slow(report: RunReport, speed: SpeedVerdict) -> tuple[Decision, str]:
    if speed.slower:
        why = lost_time_sentence(report.profile)
        text = "Keep fp32 here: int8 is slower on this CPU."
        return "keep fp32", text if why is None else f"{text} {why}"
    return (
        "keep fp32",
        f"Keep fp32 here, or ask for less than {times(speed.min_speedup)}: int8 is not as fast as asked.",
    )


def _worth_it(report: RunReport) -> tuple[Decision, str]:
    only, file = _fast_file(report), report.models[0].file
    if only is not None:
        return "ship int8", f"Ship {only} only: the other file is not as fast as asked on this CPU."
    if not _is_faster(report) and report.chosen.int8_layers == 0:
        return "ship int8", f"Ship {file} for its size; it computes in fp32, since int8 is not faster on this CPU."
    gains = [_claimed(report)] if _is_faster(report) else []
    share = percent(report.models[0].bytes / report.baseline.bytes, 0)
    owner = "its" if gains else "fp32's"
    gains += [f"{share} of {owner} size"] if _is_smaller(report) else []
    return "ship int8", f"Ship int8 ({file}): {' at '.join(gains)}." if gains else f"Ship int8 ({file})."


def _claimed(report: RunReport) -> str:
    """Return what can be said of the named file's speed: where the interval is wide, no more than its lower end."""
    named = next(gain for gain in _measured(report) if gain.candidate == report.models[0].role)
    if named.low is not None and _is_vague(named):
        return f"at least {times(named.low)} of fp32's speed"
    return f"{times(named.ratio)} of fp32's speed"
