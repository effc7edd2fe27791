"""Tune a model on so many images in a process tree that is watched, and tell what that took.

    python benchmarks/scale.py run MODEL PRESET --images N --work FOLDER [--label_free]

The images are made (`full_set.py`), the process tree is watched (`process_tree.py`), and the images of every evaluation
are counted (`counted.py`). The limit of a stage is the cores over the processor time of one image in it, measured alone
in one process on 100 images.

Label-free, the run gets no label list and judges nothing (`--criterion none`): for networks with made weights
(`make_networks.py`), whose answers have nothing to do with labels, so that `tune` refuses them beside one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from full_set import make
from measured_on import MeasuredOn, this_cpu
from prepared import disk_bytes, preprocessing_of
from process_tree import watch

from quantize.data.containers.registry import open_images
from quantize.data.decoding import decode_image
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.session import open_session
from quantize.processes.pool import available_cpus

_FEW = 100


@dataclass(frozen=True)
class Tuned:
    """What tuning one model on so many images took.

    Attributes:
        model: Its file's name.
        model_bytes: Its size.
        cpu: What it was measured on.
        engine: What searched.
        images: All images.
        evaluated: Images that trials may see.
        unseen: Images that no trial sees.
        stages: Seconds of each stage by the clock.
        limits: Images a second at most, by what is done: ``decode``, ``fp32``, ``int8``.
        inferences: Images of all evaluations, by ``fp32`` and ``int8``.
        judged: Images that each trial was judged on.
        peak_bytes: Anonymous memory of the process tree at its peak.
        work_bytes: Disk of the work folder.
        crop_bytes: Disk of the decoded images.
        silence: Longest time without a line on stderr, in seconds.
        seconds: The whole run by the clock.
        processor: Core-seconds of the whole run.
        cores: Cores that it had.
        load: Load average of the machine at the beginning and at the end.
        peaks: Anonymous memory at its peak by the line of stderr that was the last one; empty where it was not kept.
        note: What its figures have to be read with, added by hand.
        others: Core-seconds of all other processes of the machine meanwhile; None where they were not kept.
        label_free: Whether it was tuned without labels and without a criterion.
    """

    model: str
    model_bytes: int
    cpu: MeasuredOn
    engine: str
    images: int
    evaluated: int
    unseen: int
    stages: dict[str, float]
    limits: dict[str, float]
    inferences: dict[str, int]
    judged: list[int | None]
    peak_bytes: int
    work_bytes: int
    crop_bytes: int
    silence: float
    seconds: float
    processor: float
    cores: int
    load: tuple[float, float]
    peaks: dict[str, int] = field(default_factory=dict)
    note: str = ""
    others: float | None = None
    label_free: bool = False

    @property
    def bound(self) -> float:
        """Return the anonymous memory that is allowed, in bytes."""
        return 600e6 + 4 * self.model_bytes

    @property
    def least_seconds(self) -> float:
        """Return what all decoding and all evaluations take if every core does nothing else."""
        inferred = sum(count / self.limits[kind] for kind, count in self.inferences.items())
        return self.images / self.limits["decode"] + inferred

    @property
    def least_until_fp32(self) -> float:
        """Return what decoding and evaluating fp32 on the images that trials may see take at least."""
        return self.images / self.limits["decode"] + self.evaluated / self.limits["fp32"]

    @property
    def until_fp32(self) -> float:
        """Return what they took by the clock."""
        return self.stages.get("decode the images", 0.0) + self.stages.get("evaluate fp32", 0.0)


def tuned(
    model: Path, preset: str, images: int, engine: str, work: Path, shared: Path, benchmark: int, *, label_free: bool
) -> Tuned:
    """Tune a model on so many images and return what that took.

    Args:
        model: The model.
        preset: How its images are prepared.
        images: How many there are, to calibrate and to evaluate.
        engine: What searches.
        work: Where images and the run are made; the run is removed at its end.
        shared: Holds the images, in ``val``, and their labels, in ``val.txt``.
        benchmark: Longest time of the run's benchmark, in seconds.
        label_free: Whether the run gets no labels, and judges nothing.
    """
    data, labels = make(work / f"{images}", images, shared / "val", shared / "val.txt")
    output, counts = work / f"run-{model.stem}-{engine}-{images}", work / "counts.json"
    before = os.getloadavg()[0]
    counted = [sys.executable, str(Path(__file__).with_name("counted.py")), str(counts)]
    flags = tuning_flags(model, preset, engine, data, None if label_free else labels, output, benchmark)
    seen = watch([*counted, *flags], echo=True, apart="engines.inc" if engine == "inc" else None)
    if seen.returncode not in (0, 1):
        sys.exit(seen.returncode)
    row = tuned_of(output, model, preset, images, engine, (data, labels), json.loads(counts.read_text("utf-8")))
    shutil.rmtree(output)
    return replace(
        row,
        peak_bytes=seen.peak,
        peaks=seen.stages,
        silence=max(seen.gaps),
        seconds=seen.seconds,
        processor=seen.processor,
        others=seen.others,
        load=(before, os.getloadavg()[0]),
        label_free=label_free,
    )


def tuning_flags(
    model: Path, preset: str, engine: str, data: Path, labels: Path | None, output: Path, benchmark: int
) -> list[str]:
    """Return the command that tunes, and its flags; without labels, it has no criterion either."""
    judged = ("--criterion", "none") if labels is None else ("--label_path", str(labels))
    return [
        *("tune", "--input_model", str(model), "--preset", preset, "--engine", engine, "--data_path", str(data)),
        *judged,
        *("--output_model", str(output), "--max_seconds", str(benchmark), "--overwrite"),
    ]


def tuned_of(
    run: Path, model: Path, preset: str, images: int, engine: str, data: tuple[Path, Path], counts: dict[str, int]
) -> Tuned:
    """Return what a run's folder tells of it; what a watched process tells is left at 0."""
    report = json.loads((run / "report.json").read_text("utf-8"))
    return Tuned(
        model=model.name,
        model_bytes=model.stat().st_size,
        cpu=this_cpu(),
        engine=engine,
        images=images,
        evaluated=report["data"]["evaluation"],
        unseen=report["data"]["certification"],
        stages={stage["name"]: stage["seconds"] for stage in report["stages"]},
        limits=limits(model, next(run.glob("*-int8.onnx")), preset, *data),
        inferences=counts,
        judged=[trial.get("images") for trial in report["trials"]],
        peak_bytes=0,
        work_bytes=disk_bytes(run / "work") - disk_bytes(run / "work" / "crops"),
        crop_bytes=disk_bytes(run / "work" / "crops"),
        silence=0.0,
        seconds=0.0,
        processor=0.0,
        cores=available_cpus(),
        load=(0.0, 0.0),
    )


def limits(fp32: Path, int8: Path, preset: str, data: Path, labels: Path) -> dict[str, float]:
    """Return how many images a second all cores could decode and run, by the processor time of one process."""
    model = ModelArtifact.load(fp32)
    contract = model.contract
    preprocessing = preprocessing_of(contract, preset)
    listed = open_images(data, labels, classes=contract.classes)
    began = time.process_time()
    crops = [preprocessing.crop_image(decode_image(listed.read(at))) for at in range(_FEW)]
    seconds = {"decode": time.process_time() - began}
    for name, path in (("fp32", fp32), ("int8", int8)):
        artifact = ModelArtifact.load(path)
        session = open_session(path, threads=1)
        for at in (0, *range(_FEW)):
            image = in_form(artifact.contract, preprocessing.normalize(crops[at][None]))
            if at == 0:
                began = time.process_time()  # the second time, what opens and warms up is behind
            session.run(None, {artifact.contract.input.name: image})
        seconds[name] = time.process_time() - began
    return {name: available_cpus() * _FEW / spent for name, spent in seconds.items()}
