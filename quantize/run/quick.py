"""A quick run: a first, rough answer on few images, few timed runs and few trials (``tuning.quick``).

What it leaves out, it leaves out of every stage; the report says that it is rough, and of how much it is.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from quantize.config.run_config import RunConfig
from quantize.data.image_set import ImageSet
from quantize.data.split import read_calibration_list
from quantize.provenance import sha256_bytes
from quantize.report.rough import RoughSection
from quantize.report.schema import RunReport

CALIBRATED = 32
"""Images that calibrate, at most."""
EVALUATED = 192
"""Images that are evaluated, at most."""
TRIALS = 3
"""Candidates that each engine may try."""
SEARCH_SECONDS = 20.0
"""Seconds after which each engine finishes the best so far."""
RUNS = 60
"""Timed runs of each model: six rounds of two blocks, which give an interval."""
WARMUP = 3
"""Runs of each session before it is timed, at most."""
BENCHMARK_SECONDS = 8.0
"""Seconds after which the benchmark stops."""
PAIR_SECONDS = 0.4
"""Seconds that two models are timed against each other to decide between them."""


def bounded(config: RunConfig) -> RunConfig:
    """Return the settings with no more work than a quick run does; those of another run as they are."""
    if not config.tuning.quick:
        return config
    quantization, performance, tuning = config.quantization, config.evaluation.performance, config.tuning
    calibration = quantization.calibration.model_copy(
        update={"sampling_size": min(CALIBRATED, quantization.calibration.sampling_size)}
    )
    performance = performance.model_copy(
        update={
            "warmup": min(WARMUP, performance.warmup),
            "iteration": min(RUNS, performance.iteration),
            "max_seconds": min(BENCHMARK_SECONDS, performance.max_seconds),
        }
    )
    tuning = tuning.model_copy(
        update={
            "time_budget": min(SEARCH_SECONDS, tuning.time_budget),
            "exit_policy": tuning.exit_policy.model_copy(
                update={"max_trials": min(TRIALS, tuning.exit_policy.max_trials)}
            ),
        }
    )
    return config.model_copy(
        update={
            "quantization": quantization.model_copy(update={"calibration": calibration}),
            "evaluation": config.evaluation.model_copy(update={"performance": performance}),
            "tuning": tuning,
        }
    )


def pair_seconds(config: RunConfig, asked: float | None) -> float | None:
    """Return the longest time that two models are timed against each other; None: as long as each decision is given."""
    if not config.tuning.quick:
        return asked
    return PAIR_SECONDS if asked is None else min(PAIR_SECONDS, asked)


def sample(listed: ImageSet, config: RunConfig, calibration_list: Path | None) -> ImageSet:
    """Return the images of a run: all of them, or those that a quick run draws.

    They are drawn as the calibration images are: by a hash of the seed and the image's name, so that the sample is the
    same wherever the images lie. Images that a list names calibrate, and are all kept.

    Args:
        listed: The images.
        config: The settings, bounded.
        calibration_list: File that names the calibration images; None: they are drawn.

    Raises:
        DataError: An image of the list is missing.
    """
    if not config.tuning.quick:
        return listed
    calibration, seed = config.quantization.calibration, config.tuning.random_seed
    ids = [record.id for record in listed.records]
    if calibration_list is None:
        calibrating = set(_drawn(ids, f"calibration {seed}")[: calibration.sampling_size])
    else:
        calibrating = set(read_calibration_list(calibration_list, ids))
    others = [name for name in _drawn(ids, f"quick {seed}") if name not in calibrating]
    most = EVALUATED - (len(calibrating) if calibration.in_evaluation else 0)
    chosen = calibrating.union(others[: max(1, most)])
    return listed.subset(index for index, name in enumerate(ids) if name in chosen)


def _drawn(ids: Sequence[str], purpose: str) -> list[str]:
    return sorted(ids, key=lambda name: (sha256_bytes(f"{purpose} {posixpath.basename(name)}".encode()), name))


def told_rough(report: RunReport, found: int) -> RunReport:
    """Return a quick run's report with what is rough of it in its headline, its reasons and a section of its own.

    Args:
        report: The report.
        found: Images that were there.
    """
    data, measurement = report.data, report.measurement
    rough = RoughSection(
        images=found,
        drawn=data.images,
        evaluated=data.evaluation + data.certification,
        calibrated=data.calibration,
        timed_runs=measurement.plan.iteration if measurement is not None else 0,
        trials=len(report.trials),
    )
    verdict = report.verdict
    told = verdict.model_copy(
        update={"summary": f"rough answer: {verdict.headline}", "reasons": (rough.text, *verdict.reasons)}
    )
    return report.model_copy(update={"verdict": told, "rough": rough})
