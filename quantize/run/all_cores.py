"""Measure the written files against fp32 on all cores, where the settings have them measured on fewer threads.

What is faster on one thread may be slower on all of them: the layers that gain most are then done sooner, and what
threads do not share, such as conversions and the start of each operator, is more of what is left.
"""

from __future__ import annotations

from quantize.config.run_config import RunConfig
from quantize.measurement.machine.usable_cores import usable_physical_cores
from quantize.measurement.timing.measure import measure
from quantize.measurement.timing.measurement import measured_noise_floor
from quantize.report.all_cores import AllCoresSection
from quantize.run.context import Prepared
from quantize.run.export import Pair
from quantize.run.measuring import inputs_of, latency_plan
from quantize.run.verdict import file_speeds

_SECONDS = 10.0
"""Seconds that it may take."""
_SHARE = 0.2
"""Share of the benchmark's time that it may take."""
_RUNS = 60
"""Timed runs of each model: six rounds of two blocks, which give an interval."""
_WARMUP = 5
_PRECISION = 0.02


def other_cores(config: RunConfig) -> int | None:
    """Return on how many cores the files are measured too; None: on no others than the settings say.

    A quick run measures nothing more, and one core is no other.
    """
    cores, threads = usable_physical_cores(), config.evaluation.performance.configs.cores_per_instance
    return None if config.tuning.quick or cores in (1, threads) else cores


def seconds_on_all_cores(config: RunConfig) -> float:
    """Return how many seconds of the benchmark's are kept for all cores; 0: none."""
    if other_cores(config) is None:
        return 0.0
    return min(_SECONDS, _SHARE * config.evaluation.performance.max_seconds)


def measured_on_all_cores(context: Prepared, pair: Pair, cores: int) -> AllCoresSection:
    """Return both files against fp32 on all cores.

    It ends as soon as both are told apart from fp32, or their speed-ups are known to 2 %.

    Args:
        context: The run; its images are those that the models take.
        pair: The written files.
        cores: On how many, of ``other_cores``.
    """
    config, images = context.config, context.images
    models = {"fp32": context.whole, "int8": pair.int8, "qdq": pair.qdq}
    performance = config.evaluation.performance
    plan = latency_plan(
        models,
        performance,
        seed=config.tuning.random_seed,
        max_seconds=seconds_on_all_cores(config),
        precision=_PRECISION,
    ).model_copy(
        update={
            "threads": cores,
            "warmup": min(_WARMUP, performance.warmup),
            "iteration": min(_RUNS, performance.iteration),
            "until_precise": True,
        }
    )
    inputs = inputs_of(images.evaluation, images.preprocessing, models)
    measurement = measure(plan, inputs, beside=1.0, progress=context.progress)
    return AllCoresSection(
        cores=cores,
        noise_floor=measured_noise_floor(measurement),
        files=file_speeds(measurement, {"int8": "int8", "qdq": "qdq"}, None),
        measurement=measurement,
    )
