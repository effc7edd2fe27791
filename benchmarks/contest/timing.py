"""One sitting: all contenders' models of a network in alternating blocks, so that each ratio is paired."""

from __future__ import annotations

import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from contest.bench import Bench
from contest.cells import Timed
from contest.judging import fed, opened
from quantize.measurement.machine.environment import read_environment
from quantize.measurement.timing.blocks import paired_log_ratios, round_levels
from quantize.measurement.timing.interleave import OpenSession, Run, interleave
from quantize.measurement.timing.measure import precise_enough
from quantize.measurement.timing.plan import Plan
from quantize.measurement.timing.speedup import speedup
from quantize.provenance import sha256_file

_IMAGES = 32


def sitting(files: dict[str, Path], bench: Bench, threads: int, seconds: float) -> list[Timed]:
    """Return the timed cells of all models, fp32 among them.

    Args:
        files: By contender; ``fp32`` first.
        bench: The network.
        threads: Of every session.
        seconds: Longest time of the measurement.
    """
    images = bench.evaluation[:_IMAGES]

    def opening(file: Path) -> OpenSession:
        taken = fed(file, images)

        def ready() -> Run:
            run = opened(file, threads)
            return lambda number: run(taken[number % _IMAGES : number % _IMAGES + 1])

        return ready

    limits = {"iteration": 200, "precision": 0.01, "max_seconds": seconds, "control": False}
    plan = Plan.model_validate({"models": files, "baseline": "fp32", "threads": threads, **limits})
    enough = partial(precise_enough, contestants=plan.contestants(), plan=plan)
    blocks, _ = interleave({name: opening(file) for name, file in files.items()}, plan, enough=enough)
    machine = _machine(plan)
    cells = []
    for name, file in files.items():
        gain = speedup(paired_log_ratios(blocks, "fp32", name), baseline="fp32", candidate=name)
        known = {} if gain is None or name == "fp32" else gain.model_dump(include={"ratio", "low", "high", "rounds"})
        time = float(np.exp(np.median(list(round_levels(blocks, name).values()))))
        cells.append(
            Timed(
                network=bench.name,
                contender=name,
                threads=threads,
                nanoseconds=time,
                file_sha256=sha256_file(file),
                machine=machine,
                **known,
            )
        )
    return cells


def _machine(plan: Plan) -> dict[str, str]:
    known = read_environment(plan)
    return {
        "cpu": known.cpu_model,
        "class": str(known.cpu_class),
        "cores": str(known.usable_cores),
        "instructions": ", ".join(known.isa_flags or ()),
        "onnxruntime": version("onnxruntime"),
        "python": platform.python_version(),
    }
