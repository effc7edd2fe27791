"""A verdict in words: first what was not met, then whether it is slower than fp32, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from quantize.engines.engine import engine_named
from quantize.evaluation.verdict import Verdict
from quantize.recipe import EngineName
from quantize.report.criterion import SpeedVerdict, Status
from quantize.report.models import ModelSection
from quantize.report.search import LostSection, PlacementSection
from quantize.report.task_words import TaskWords, words
from quantize.report.trials import ChosenSection
from quantize.report.wording import bounds, percent, times, would_settle

_FORMATS: Mapping[str, str] = {"int8": "QLinear", "qdq": "QDQ"}


_FEW = 10
"""Images below which a verdict by the point estimate may hang on one or two of them."""

_NAMES = {"int8": "The QLinear model", "qdq": "The QDQ model"}


@dataclass(frozen=True)
class Facts:
    """The facts that a verdict is worded from.

    Attributes:
        accuracy: On accuracy alone.
        formats: The two formats agree with each other.
        speed: On speed; None: nothing was timed.
        layers: Layers of the fp32 model that have weights.
        int8_layers: Those that compute in int8.
        smaller: Both files are smaller than the fp32 model.
    """

    accuracy: Status
    formats: bool
    speed: SpeedVerdict | None
    layers: int
    int8_layers: int
    smaller: bool


def summary(facts: Facts) -> str:
    """Return the verdict in a few words, such as ``accuracy not met, slower than fp32``."""
    speed, missed, gained = facts.speed, _missed(facts), _gained(facts)
    unsettled = ["accuracy"] if facts.accuracy == "inconclusive" else []
    unsettled += ["speed"] if speed is not None and speed.status == "inconclusive" else []
    words = [f"{' and '.join(missed)} not met"] if missed else []
    if not missed and not unsettled:
        words.append("not asked" if facts.accuracy == "not asked" else "met")
    words += ["slower than fp32"] if speed is not None and speed.slower else []
    words += [f"{' and '.join(unsettled)} inconclusive"] if unsettled else []
    words += [f"speed {speed.status}"] if speed is not None and not speed.for_target else []
    return ", ".join([*words, gained] if gained is not None else words)


def text(facts: Facts) -> str:
    """Return the same in sentences."""
    speed, missed = facts.speed, _missed(facts)
    sentences = []
    if "accuracy" in missed:
        also = f", and are NOT as fast as asked ({_asked(speed)})" if speed is not None and "speed" in missed else ""
        sentences.append(f"The int8 models do NOT meet the accuracy criterion{also}; the best candidate was written.")
    elif speed is not None and "speed" in missed:
        sentences.append(f"The int8 models are NOT as fast as asked ({_asked(speed)}).")
    if "agreement of the formats" in missed:
        sentences.append("The two formats do NOT give the same answers.")
    met = _met(facts, "They" if missed else "The int8 models")
    if not missed and met:
        sentences.append(met)
    if speed is not None and speed.slower:
        figures = ", ".join(f"{_FORMATS[file.role]} {times(file.ratio)}" for file in speed.slower)
        sentences.append(f"Slower than fp32: {figures}.")
    if speed is not None and speed.within_noise:
        sentences.append(
            f"They miss the speed that was asked for ({_asked(speed)}) by no more than the noise of the measurement, "
            f"{percent(speed.noise_floor, 1)}."
        )
    if missed and met:
        sentences.append(met)
    if facts.accuracy == "inconclusive":
        sentences.append("There are too few images to tell whether the accuracy criterion is met.")
    if speed is not None and speed.status == "inconclusive":
        sentences.append(f"The measurement is too noisy to tell whether they are as fast as asked ({_asked(speed)}).")
    if facts.accuracy == "not asked":
        sentences.append("No accuracy criterion was set.")
    if speed is not None and not speed.for_target:
        sentences.append(
            f"Speed was not measured for the target {speed.target}: this machine's CPU class is {speed.measured_on}."
        )
    gained = _gained(facts)
    if gained:
        sentences.append(f"{gained[0].upper()}{gained[1:]}.")
    return " ".join(sentences)


def accuracy_sentence(model: ModelSection) -> str | None:
    """Return what a file keeps of fp32's accuracy and what that means; None if it is not judged."""
    judgement = model.deciding.judgement
    if judgement is None:
        return None
    deciding = judgement.deciding
    name, images = _NAMES[model.role], model.deciding.evaluation.n
    unseen = " that no trial saw" if model.certification is not None else ""
    task = words(model.deciding.evaluation.task)
    sentence = f"{name} {_measured(deciding, task)} on {images:,} images{unseen}: {deciding.outcome}"
    if deciding.confidence is not None:
        sentence += f" at {percent(deciding.confidence, 0)} confidence"
    else:
        sentence += f" by the point estimate; at 95 % confidence: {judgement.at_95.outcome}"
    needed = (deciding if deciding.confidence is not None else judgement.at_95).images_needed
    return sentence + (f" ({would_settle(needed)})." if needed else ".")


def _measured(verdict: Verdict, task: TaskWords) -> str:
    tolerance, change = verdict.tolerance, "loses" if verdict.estimate >= 0 else "gains"
    if tolerance.measure == "agreement":
        return f"has {task.same} on {percent(verdict.estimate)} (at least {percent(tolerance.value, 1)} asked)"
    if tolerance.measure == "relative":
        lost, allowed = percent(abs(verdict.estimate)), percent(tolerance.value)
        return f"{change} {lost} of fp32's {task.accuracy} (may lose {allowed})"
    lost, allowed = f"{abs(verdict.estimate) * 100:.2f} points", f"{tolerance.value * 100:.2f} points"
    return f"{change} {lost} of {task.accuracy} (may lose {allowed})"


def tolerance_sentence(worth: float, model: ModelSection) -> str:
    """Return how many of the images the tolerance is worth."""
    judgement, number = model.deciding.judgement, round(worth)
    allowed = "The tolerance"
    if judgement is not None:
        tolerance = judgement.deciding.tolerance
        shares = {"relative": f"{tolerance.value * 100:g} %", "points": f"A loss of {tolerance.value * 100:g} points"}
        allowed = shares.get(tolerance.measure, allowed)
    images = f"{number:,} of {model.deciding.evaluation.n:,} images" if number else "less than one image"
    return f"{allowed} is {images}" + (", so a few images decide." if worth < _FEW else ".")


def speed_sentences(speed: SpeedVerdict) -> Iterator[str]:
    """Yield what was measured of each file's speed and what that means."""
    for file in speed.files:
        interval = f" {bounds(file.low, file.high)}" if file.low is not None and file.high is not None else ""
        measured = f"{_NAMES[file.role]} runs at {times(file.ratio)}{interval} of fp32's speed"
        if not speed.for_target:
            yield f"{measured} on this machine, which says nothing of the target {speed.target}."
        elif file.outcome is None:
            yield f"{measured}; no speed was asked for."
        else:
            barely = ", as it misses that by no more than the noise" if file in speed.within_noise else ""
            yield f"{measured} (at least {times(speed.min_speedup)} asked{_noise(speed)}): {file.outcome}{barely}."


def _noise(speed: SpeedVerdict) -> str:
    return f", noise {percent(speed.noise_floor, 1)}" if speed.noise_floor is not None else ""


def lost_sentence(lost: LostSection, chosen: ChosenSection) -> str:
    """Return what the files of a trial that met the criterion lost."""
    met = "" if lost.trial_metric is None else f" ({percent(lost.trial_metric)})"
    missed = "" if lost.metric is None else f" ({percent(lost.metric)})"
    if lost.speedup is not None:
        missed = f" ({times(lost.speedup)} of fp32's speed)"
    sentence = f"Trial {lost.trial + 1} met the criterion{met}, its written files did not{missed}: lost by {lost.by}."
    return (
        sentence if chosen.trial == lost.trial and not chosen.is_placed else f"{sentence} The next candidate was tried."
    )


def placement_sentence(placement: PlacementSection, engine: EngineName) -> str:
    """Return where the layers compute, and why."""
    taken = placement.taken
    assert taken is not None
    sentence = f"Placement: {placement.reason}; {taken.int8_layers} of {taken.layers} layers compute in int8"
    if taken.stored_layers:
        sentence += f", {taken.stored_layers} in fp32 on weights stored in int8"
    speed = placement.options[0].speedup
    if taken.kind not in ("as tuned", "smaller") and speed is not None:
        sentence += f" (as {engine_named(engine).in_words} decided: {speed.ratio:.2f}x)"
    return f"{sentence}."


def _missed(facts: Facts) -> Sequence[str]:
    missed = ["accuracy"] if facts.accuracy == "not met" else []
    missed += ["speed"] if facts.speed is not None and facts.speed.status == "not met" else []
    return missed if facts.formats else [*missed, "agreement of the formats"]


def _met(facts: Facts, subject: str) -> str | None:
    names = ["accuracy"] if facts.accuracy == "met" else []
    names += ["speed"] if facts.speed is not None and facts.speed.status == "met" else []
    if not names:
        return None
    return f"{subject} meet the {' and the '.join(f'{name} criterion' for name in names)}."


def _asked(speed: SpeedVerdict) -> str:
    slowest = min(speed.files, key=lambda file: file.ratio, default=None)
    measured = f"{times(slowest.ratio)} of fp32's speed, " if slowest is not None else ""
    return f"{measured}at least {times(speed.min_speedup)} asked"


def _gained(facts: Facts) -> str | None:
    """Return what a model that computes in fp32 throughout is good for; None for one that computes in int8."""
    if facts.int8_layers:
        return None
    speed = facts.speed if facts.speed is not None and facts.speed.for_target else None
    files, noise = (speed.files, speed.noise_floor or 0.0) if speed is not None else ((), 0.0)
    faster = bool(files) and all(file.low is not None and file.low > 1.0 + noise for file in files)
    if not facts.smaller and not faster:
        return "nothing gained"
    gains = (["smaller"] if facts.smaller else []) + (["not faster"] if files and not faster else [])
    return f"0 of {facts.layers:,} layers compute in int8" + (f": {', '.join(gains)}" if gains else "")
