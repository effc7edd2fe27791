"""Measure models against each other on prepared inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantize.errors import MeasurementError
from quantize.measurement.machine.environment import read_conditions, read_environment
from quantize.measurement.timing.blocks import Block, Contestant, fewest_runs, paired_log_ratios, round_levels
from quantize.measurement.timing.clock import Clock, monotonic
from quantize.measurement.timing.interleave import Run, interleave
from quantize.measurement.timing.measurement import Measurement, runs_needed
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import median_interval
from quantize.models.session import open_session
from quantize.progress import Progress, silent
from quantize.provenance import sha256_bytes

Inputs = Mapping[str, Sequence[npt.NDArray[np.generic]]]
"""Model name to its prepared images, each an array ``[batch_size, ...]`` of the type that the model takes; as many
for every model and in the same order (a model with another input contract gets other arrays of the same images)."""


def measure(
    plan: Plan,
    inputs: Inputs,
    *,
    beside: float | None = None,
    clock: Clock = monotonic,
    progress: Progress = silent,
) -> Measurement:
    """Time every model of a plan, in alternation, in this process.

    The timed region is one ``InferenceSession.run`` with a prepared feed and all outputs fetched, the same for all
    models: onnxruntime allocates the output, as in the usual use. Nothing is decoded or prepared in it.

    Args:
        plan: What to do.
        inputs: Prepared images of every model.
        beside: A speed-up; the measurement may also stop once every candidate's is told apart from it.
        clock: Source of time.
        progress: Called with the number of rounds done.

    Raises:
        MeasurementError: A model without images, or models with unlike numbers of them or of images a run.
    """
    plan = plan_for(plan, inputs)
    contestants = plan.contestants()
    environment = read_environment(plan)
    before = read_conditions()
    begin = clock()
    blocks, stopped = interleave(
        {contestant.name: _opener(contestant, plan, inputs) for contestant in contestants},
        plan,
        enough=partial(precise_enough, contestants=contestants, plan=plan, beside=beside),
        clock=clock,
        progress=progress,
    )
    return Measurement(
        plan=plan,
        contestants=contestants,
        environment=environment,
        before=before,
        after=read_conditions(),
        images=len({sha256_bytes(image.tobytes()) for batch in inputs[next(iter(plan.models))] for image in batch}),
        blocks=blocks,
        stopped=stopped,
        seconds=(clock() - begin) / 1e9,
    )


def session_run(path: Path, images: Sequence[npt.NDArray[np.generic]], plan: Plan) -> Run:
    """Open a model and return a function that runs it on image ``number``, modulo the number of images."""
    session = open_session(path, threads=plan.threads, optimization=plan.optimization, spinning=plan.spinning)
    name = session.get_inputs()[0].name
    feeds = [{name: image} for image in images]
    count = len(feeds)
    run = session.run

    def run_image(number: int) -> object:
        return run(None, feeds[number % count])

    return run_image


def plan_for(plan: Plan, inputs: Inputs) -> Plan:
    """Return the plan with the batch size that the inputs have.

    Raises:
        MeasurementError: A model without images, or models with unlike numbers of them or of images a run.
    """
    counts = {name: len(inputs.get(name, ())) for name in plan.models}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise MeasurementError(
            "the models have different numbers of prepared images",
            found=", ".join(f"{name}: {count}" for name, count in counts.items()),
            expected="the same images for every model, at least one",
        )
    batches = {name: inputs[name][0].shape[0] for name in plan.models}
    if len(set(batches.values())) > 1:
        raise MeasurementError(
            "models with different numbers of images a run cannot be timed against each other",
            found=", ".join(f"{name}: {batch}" for name, batch in batches.items()),
            expected="the same batch size",
            advice="export both models with the same batch size, or with a symbolic one",
        )
    return plan.model_copy(update={"batch_size": next(iter(batches.values()))})


def _opener(contestant: Contestant, plan: Plan, inputs: Inputs) -> partial[Run]:
    name = contestant.name
    if contestant.role == "control" and plan.baseline is not None:
        name = plan.baseline
    return partial(session_run, plan.models[name], inputs[name], plan)


# Each look at the interval is a draw; more resamples than this would cost more time than the look is worth.
_RESAMPLES = 1000


# The interval is looked at after every round: one of 95 % would leave the speed-up out too often.
_TOLD_APART = 0.99


def precise_enough(
    blocks: Sequence[Block], contestants: Sequence[Contestant], plan: Plan, beside: float | None = None
) -> bool:
    """Return whether every model has enough runs, and every interval is narrow enough where that is asked.

    With a baseline, the candidates' speed-ups must be as precise as asked, else each model's own time. The A/A
    control only has to be run: its interval is the noise floor, whatever its width.

    Args:
        blocks: Of complete rounds.
        contestants: The models that take part.
        plan: Gives ``iteration``, ``precision``, ``until_precise`` and ``confidence``.
        beside: A speed-up; an interval of 99 % that lies beside it is narrow enough.
    """
    fewest = fewest_runs(blocks, [contestant.name for contestant in contestants])
    if not plan.until_precise and fewest >= plan.iteration:
        return True
    if fewest < (plan.iteration if plan.until_precise else runs_needed(0.99)):
        return False
    compared = [contestant.name for contestant in contestants if contestant.role == "candidate"]
    if plan.baseline is not None and compared:
        series = [paired_log_ratios(blocks, plan.baseline, name) for name in compared]
    else:
        series = [np.array(list(round_levels(blocks, contestant.name).values())) for contestant in contestants]
    for values in series:
        interval = median_interval(values, confidence=plan.confidence, seed=plan.seed, resamples=_RESAMPLES)
        if interval is None:
            return False
        if _relative_width(interval, float(np.median(values))) > plan.precision and not _is_beside(
            values, beside, plan.seed
        ):
            return False
    return True


def _is_beside(values: npt.NDArray[np.float64], speedup: float | None, seed: int) -> bool:
    if speedup is None:
        return False
    interval = median_interval(values, confidence=_TOLD_APART, seed=seed, resamples=_RESAMPLES)
    return interval is not None and not interval[0] <= np.log(speedup) <= interval[1]


def _relative_width(interval: tuple[float, float], middle: float) -> float:
    return float(np.exp(interval[1] - middle) - np.exp(interval[0] - middle))
