"""Decode images and evaluate a model on them, and tell how far that keeps the cores at work.

    python benchmarks/scale.py evaluate MODEL PRESET --images N --work FOLDER

Four figures a stage: the clock; the core-seconds of all its processes, and of all others on the machine, which say how
far the clock is that of a quiet machine; and the time in which a core had nothing of them to run (the states of all
threads are looked at up to 50 times a second). Work beside makes the clock longer, not the core-seconds and the idle
ones by much: their sum over the cores estimates what the clock says on a machine with nothing else to do; what is
waited for takes longer beside other work, so that it is rather too long than too short.

What it is held against is the processor time of decoding and of inference alone, measured in the same minute in as many
processes as there are cores, at once: where both cores work, each is slower than one alone.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
from full_set import make
from measured_on import MeasuredOn, this_cpu
from prepared import disk_bytes, preprocessing_of
from process_tree import anonymous_bytes, machine_seconds

from quantize.data.batches import Batches
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.decoding import decode_image
from quantize.data.preprocessing import Preprocessing
from quantize.evaluation.evaluate import evaluate
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.session import open_session
from quantize.processes.pool import available_cpus
from quantize.run.context import EVALUATION_BATCH

Result = TypeVar("Result")

_INTERVAL = 0.02
_SPARING = 100  # a look is followed by so many times its own length without one: looking takes a core 1 % at most
_FEW = 96


@dataclass(frozen=True)
class Stage:
    """What one stage took.

    Attributes:
        seconds: By the clock.
        processor: Core-seconds of all processes.
        idle: Core-seconds in which fewer threads wanted to run than there are cores.
        peak_bytes: Anonymous memory of all processes at its peak.
        others: Core-seconds of all other processes of the machine, and of the machines beside it on the same cores;
            None as long as it was not kept.
    """

    seconds: float
    processor: float
    idle: float
    peak_bytes: int
    others: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """Decoding and evaluation of one model.

    Attributes:
        model: Its file's name.
        model_bytes: Its size.
        cpu: What it was measured on.
        images: How many.
        cores: That the processes had.
        limits: Processor seconds of one image alone: ``decode``, and ``fp32`` in batches as they are evaluated.
        stages: What was done: ``decode`` and ``fp32``.
        crop_bytes: Disk of the decoded images.
        batch: Images in a batch.
    """

    model: str
    model_bytes: int
    cpu: MeasuredOn
    images: int
    cores: int
    limits: dict[str, float]
    stages: dict[str, Stage]
    crop_bytes: int
    batch: int = 8  # as long as it was not kept

    def least(self, *stages: str) -> float:
        """Return what stages take if every core does nothing but decode and infer, in seconds."""
        return self.images * sum(self.limits[stage] for stage in stages) / self.cores

    def clock(self, *stages: str) -> float:
        """Return what stages took by the clock, in seconds."""
        return sum(self.stages[stage].seconds for stage in stages)

    def others(self, *stages: str) -> float | None:
        """Return which share of the cores' time other processes took meanwhile; None where that was not kept."""
        taken = [self.stages[stage].others for stage in stages]
        kept = [seconds for seconds in taken if seconds is not None]
        return sum(kept) / self.cores / self.clock(*stages) if len(kept) == len(taken) else None

    def undisturbed(self, *stages: str) -> float:
        """Return what stages take on a machine with nothing else to do, in seconds."""
        return sum(self.stages[stage].processor + self.stages[stage].idle for stage in stages) / self.cores


def evaluated(path: Path, preset: str, images: int, work: Path, shared: Path) -> Evaluated:
    """Decode so many images and evaluate a model on them."""
    model = ModelArtifact.load(path)
    contract = model.contract
    preprocessing = preprocessing_of(contract, preset)
    data, labels = make(work / f"{images}", images, shared / "val", shared / "val.txt")
    listed = open_images(data, labels, classes=contract.classes)
    cores = available_cpus()
    before = _alone_on_all_cores(path, preset, shared)
    crops, decoding = _watched(lambda: crop_images(listed, preprocessing, work / "crops"))
    _, inference = _watched(lambda: _fp32(model, crops, preprocessing, work / "scores"))
    after = _alone_on_all_cores(path, preset, shared)
    return Evaluated(
        model=path.name,
        model_bytes=path.stat().st_size,
        cpu=this_cpu(),
        images=images,
        cores=cores,
        limits={stage: (before[stage] + after[stage]) / 2 for stage in before},
        stages={"decode": decoding, "fp32": inference},
        crop_bytes=disk_bytes(work / "crops"),
        batch=EVALUATION_BATCH,
    )


def _fp32(model: ModelArtifact, crops: Crops, preprocessing: Preprocessing, store: Path) -> None:
    evaluate(model, Batches(crops, preprocessing, EVALUATION_BATCH), threads=available_cpus(), store=store)


def _watched(work: Callable[[], Result]) -> tuple[Result, Stage]:
    """Do some work, and return what it returns and what it took."""
    program = [sys.executable, __file__, "watch", str(psutil.Process().pid)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()  # it has begun
        began, spent, busy = time.monotonic(), _processor(), machine_seconds()
        result = work()
        seconds, processor, machine = time.monotonic() - began, _processor() - spent, machine_seconds() - busy
        told, _ = watcher.communicate("end\n")
    idle, peak = told.split()
    return result, Stage(seconds, processor, float(idle) * seconds, int(peak), max(machine - processor, 0.0))


def _processor() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(each)[:2]) for each in who)


def watch(pid: int) -> None:
    """Look at a process and its children until a line comes, and print the idle cores' mean number and peak memory."""
    ended, cores, own = threading.Event(), available_cpus(), psutil.Process().pid
    threading.Thread(target=_until_told, args=(ended,), daemon=True).start()
    print("begun", flush=True)
    idle = watched = 0.0
    peak, due, pause, before = 0, 0.0, _INTERVAL, time.monotonic()
    while not ended.wait(pause):
        now = time.monotonic()
        idle += max(cores - _wanting(pid, own), 0) * (now - before)
        watched += now - before
        before = now
        pause = max(_INTERVAL, _SPARING * (time.monotonic() - now))
        if now >= due:
            peak = max(peak, anonymous_bytes(pid) - anonymous_bytes(own))
            due = now + _SPARING * (time.monotonic() - now)
    print(idle / max(watched, _INTERVAL), peak)


def _until_told(ended: threading.Event) -> None:
    sys.stdin.readline()
    ended.set()


def _wanting(pid: int, apart: int) -> int:
    """Return how many threads of a process and its children but one run, or could if a core were free."""
    wanting = 0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            wanting += (thread / "stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[0] == "R"
            children = [int(child) for child in (thread / "children").read_text("ascii").split()]
        except OSError:  # it has ended
            continue
        wanting += sum(_wanting(child, apart) for child in children if child != apart)
    return wanting


def _alone_on_all_cores(path: Path, preset: str, shared: Path) -> dict[str, float]:
    """Return the processor seconds of one image in each stage, where every core does it."""
    program = [sys.executable, __file__, "alone", str(path), preset, str(shared)]
    with_all = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(available_cpus())]
    told = [[float(word) for word in process.communicate()[0].split()] for process in with_all]
    return {
        stage: sum(each) / len(told) for stage, each in zip(("decode", "fp32"), zip(*told, strict=True), strict=True)
    }


def alone(path: Path, preset: str, shared: Path) -> None:
    """Print the processor seconds of decoding one image, and of one in a batch."""
    model = ModelArtifact.load(path)
    contract = model.contract
    preprocessing = preprocessing_of(contract, preset)
    listed = open_images(shared / "val", shared / "val.txt", classes=contract.classes)
    spread = range(0, len(listed.records), max(len(listed.records) // _FEW, 1))[:_FEW]
    began = time.process_time()
    crops = [preprocessing.crop_image(decode_image(listed.source.read(listed.records[at].locator))) for at in spread]
    decoding = (time.process_time() - began) / len(crops)
    session = open_session(path, threads=1)
    images = in_form(contract, preprocessing.normalize(np.stack(crops[:EVALUATION_BATCH])))
    session.run(None, {contract.input.name: images})
    began = time.process_time()
    for _ in range(_FEW // EVALUATION_BATCH):
        session.run(None, {contract.input.name: images})
    print(decoding, (time.process_time() - began) / _FEW)


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(int(sys.argv[2]))
    else:
        alone(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
