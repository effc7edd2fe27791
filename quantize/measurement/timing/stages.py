"""From the bytes of an image file to the top-5 classes: each stage timed alone, and all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from quantize.data.decoding import decode_image
from quantize.data.preprocessing import Preprocessing
from quantize.measurement.timing.blocks import round_order
from quantize.measurement.timing.clock import Clock, monotonic
from quantize.measurement.timing.interleave import collector_paused
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import Speedup, speedup
from quantize.models.contract import Layout
from quantize.models.input_form import model_input
from quantize.models.session import open_session
from quantize.progress import Progress, silent

Prepare = Callable[[bytes], npt.NDArray[np.generic]]
"""Turns an image file's bytes into a model's input, ``[1, ...]``."""
Classify = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]
_WARMUP = 5
_TOP = 5


class StageTimes(BaseModel):
    """One model's times per stage, one entry per image, in nanoseconds.

    Attributes:
        name: The model's name in the plan.
        preprocessing_ns: Decoding, resizing, cropping, normalizing where the model does not take pixels.
        inference_ns: The session's run.
        postprocessing_ns: Finding the five best classes.
        end_to_end_ns: All three together, timed separately, twice per image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    preprocessing_ns: tuple[int, ...]
    inference_ns: tuple[int, ...]
    postprocessing_ns: tuple[int, ...]
    end_to_end_ns: tuple[int, ...]


def preparation(preprocessing: Preprocessing, *, layout: Layout = "NCHW", dtype: str = "float32") -> Prepare:
    """Return a function that turns an image file's bytes into a model's input, as a user of the model would.

    Args:
        preprocessing: With its sizes decided.
        layout: Of the model's input.
        dtype: Of the model's input; ``uint8`` takes the crop's pixels as they are.
    """

    def prepare(content: bytes) -> npt.NDArray[np.generic]:
        crop = preprocessing.crop_image(decode_image(content))
        return model_input(preprocessing, crop[np.newaxis], layout=layout, dtype=dtype)

    return prepare


def best_classes(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return the five best classes of one image's scores of any shape, best first."""
    flat = scores.reshape(-1)
    best = np.argpartition(-flat, min(_TOP, flat.size - 1))[:_TOP]
    return best[np.argsort(-flat[best], kind="stable")].astype(np.int64)


def measure_stages(
    plan: Plan,
    encoded: Sequence[bytes],
    prepare: Mapping[str, Prepare],
    *,
    clock: Clock = monotonic,
    progress: Progress = silent,
) -> tuple[StageTimes, ...]:
    """Time every model from image bytes to its five best classes.

    For every image, the models take turns in random order and then in reverse. Each stage is timed in the first half
    only; the whole is timed in both halves, without reading the clock in between.

    Args:
        plan: Gives models, threads, spinning, optimization, seed and the time limit.
        encoded: Bytes of image files.
        prepare: Makes each model's input.
        clock: Source of time.
        progress: Called with the number of images done.
    """
    generator = np.random.default_rng(plan.seed)
    sessions = {name: _classify(plan, name) for name in plan.models}
    times: dict[str, tuple[list[int], list[int], list[int], list[int]]] = {name: ([], [], [], []) for name in sessions}
    for name, classify in sessions.items():
        for content in encoded[:_WARMUP]:
            best_classes(classify(prepare[name](content)))
    begin = clock()
    for done, content in enumerate(encoded):
        progress("stages", done, len(encoded))
        with collector_paused():
            for position, name in enumerate(round_order(tuple(sessions), generator)):
                classify, (before, inside, after, whole) = sessions[name], times[name]
                if position < len(sessions):
                    marks = [clock()]
                    image = prepare[name](content)
                    marks.append(clock())
                    scores = classify(image)
                    marks.append(clock())
                    best_classes(scores)
                    marks.append(clock())
                    for durations, start, end in zip((before, inside, after), marks[:-1], marks[1:], strict=True):
                        durations.append(end - start)
                start = clock()
                best_classes(classify(prepare[name](content)))
                whole.append(clock() - start)
        if clock() - begin > plan.max_seconds * 1e9:
            break
    progress("stages", len(encoded), len(encoded))
    return tuple(
        StageTimes(
            name=name,
            preprocessing_ns=tuple(before),
            inference_ns=tuple(inside),
            postprocessing_ns=tuple(after),
            end_to_end_ns=tuple(whole),
        )
        for name, (before, inside, after, whole) in times.items()
    )


def end_to_end_speedup(
    baseline: StageTimes, candidate: StageTimes, *, confidence: float = 0.95, seed: int = 0
) -> Speedup | None:
    """Return the end-to-end speed-up, paired by image; None without images.

    Args:
        baseline: Its times.
        candidate: Its times, of the same images in the same order.
        confidence: Of the interval.
        seed: Of the bootstrap.
    """
    logs = [
        np.log(np.maximum(np.array(times.end_to_end_ns, dtype=np.float64), 1)).reshape(-1, 2).mean(axis=1)
        for times in (baseline, candidate)
    ]
    return speedup(
        logs[0] - logs[1], baseline=baseline.name, candidate=candidate.name, confidence=confidence, seed=seed
    )


def _classify(plan: Plan, name: str) -> Classify:
    """Return a function that runs a model on one image; a model with a fixed batch gets it that many times."""
    session = open_session(
        plan.models[name], threads=plan.threads, optimization=plan.optimization, spinning=plan.spinning
    )
    image_input = session.get_inputs()[0]
    feed, batch = image_input.name, image_input.shape[0]
    if not isinstance(batch, int) or batch == 1:
        return lambda image: session.run(None, {feed: image})[0]
    return lambda image: session.run(None, {feed: np.repeat(image, batch, axis=0)})[0][0]
