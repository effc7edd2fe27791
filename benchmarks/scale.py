"""How far one machine goes: images a second of each stage beside its limit, memory and disk, for more and more images.

    python benchmarks/scale.py run MODEL PRESET --images 500 5000 50000 --work FOLDER [--engine native]
    python benchmarks/scale.py evaluate MODEL PRESET --images 500 --work FOLDER     decoding and fp32 (`evaluated.py`)
    python benchmarks/scale.py open MODEL …     what opening a model takes (`opened.py`)
    python benchmarks/scale.py write            draws docs/scale.md from what these have kept

`run` makes the images (`full_set.py`), tunes the model on them in a process tree that is watched (`process_tree.py`),
and counts the images of every evaluation (`counted.py`). The limit of a stage is the cores over the processor time of
one image in it, measured alone in one process on 100 images. One JSON file a run is kept in `benchmarks/results/scale`,
with what other processes took of the cores: its times count only where that is little.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evaluated import Evaluated, Stage, evaluated
from full_set import make
from opened import Opened, opened
from prepared import disk_bytes, preprocessing_of
from process_tree import watch

from quantize.data.containers.registry import open_images
from quantize.data.decoding import decode_image
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.session import open_session
from quantize.processes.pool import available_cpus

_RESULTS = Path(__file__).parent / "results" / "scale"
_OPENED = _RESULTS / "opened"
_EVALUATED = _RESULTS / "evaluated"
_DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
_SHARED = Path(os.environ.get("QUANTIZE_SHARED", "../shared")) / "imagenet"
_FEW = 100


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        model: Its file's name.
        model_bytes: Its size.
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
    """

    model: str
    model_bytes: int
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

    @property
    def beside(self) -> str:
        """Return which share of the cores' time other work took, or the load where that was not kept."""
        if self.others is None:
            return f"load {self.load[0]:.0f} to {self.load[1]:.0f}"
        return _beside(self.others / self.cores / self.seconds)

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


def main() -> None:
    """Run, or write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, evaluation = commands.add_parser("run"), commands.add_parser("evaluate")
    for one in (run, evaluation):
        one.add_argument("model", type=Path)
        one.add_argument("preset")
        one.add_argument("--images", type=int, nargs="+", default=[500])
        one.add_argument("--work", type=Path, required=True)
    run.add_argument("--engine", default="native")
    run.add_argument("--max_seconds", type=int, default=30)
    opening = commands.add_parser("open")
    opening.add_argument("models", type=Path, nargs="+")
    commands.add_parser("write")
    given = parser.parse_args()
    if given.command == "open":
        for model in given.models:
            _keep(seen := opened(model), _OPENED / f"{model.stem}.json")
            print(seen, flush=True)
        return
    if given.command == "evaluate":
        for images in given.images:
            done = evaluated(given.model, given.preset, images, given.work / given.model.stem, _SHARED)
            _keep(done, _EVALUATED / f"{given.model.stem}-{images}.json")
            shutil.rmtree(given.work / given.model.stem)
            print(done, *_evaluations([done])[-1:], sep="\n", flush=True)
        return
    if given.command == "run":
        for images in given.images:
            kept = measured(given.model, given.preset, images, given.engine, given.work, given.max_seconds)
            _keep(kept, _RESULTS / f"{given.model.stem}-{kept.engine}-{kept.images}.json")
            print(f"{kept.model}, {images:,} images: {kept.peak_bytes / 1e6:.0f} MB, {kept.inferences}", flush=True)
        return
    _DOCUMENT.write_text(document(), encoding="utf-8")


def measured(model: Path, preset: str, images: int, engine: str, work: Path, benchmark: int) -> Row:
    """Tune a model on so many images and return what that took."""
    data, labels = make(work / f"{images}", images, _SHARED / "val", _SHARED / "val.txt")
    output, counts = work / f"run-{model.stem}-{engine}-{images}", work / "counts.json"
    before = os.getloadavg()[0]
    command = [
        *(
            sys.executable,
            str(Path(__file__).with_name("counted.py")),
            str(counts),
            "tune",
            "--input_model",
            str(model),
        ),
        *("--preset", preset, "--engine", engine, "--data_path", str(data), "--label_path", str(labels)),
        *("--output_model", str(output), "--max_seconds", str(benchmark), "--overwrite"),
    ]
    seen = watch(command, echo=True, apart="engines.inc" if engine == "inc" else None)
    if seen.returncode not in (0, 1):
        sys.exit(seen.returncode)
    row = row_of(output, model, preset, images, engine, (data, labels), json.loads(counts.read_text("utf-8")))
    finished = Row(
        **{
            **asdict(row),
            "peak_bytes": seen.peak,
            "peaks": seen.stages,
            "silence": max(seen.gaps),
            "seconds": seen.seconds,
            "processor": seen.processor,
            "others": seen.others,
            "load": (before, os.getloadavg()[0]),
        }
    )
    shutil.rmtree(output)
    return finished


def row_of(
    run: Path, model: Path, preset: str, images: int, engine: str, data: tuple[Path, Path], counts: dict[str, int]
) -> Row:
    """Return what a run's folder tells of it; what a watched process tells is left at 0."""
    report = json.loads((run / "report.json").read_text("utf-8"))
    return Row(
        model=model.name,
        model_bytes=model.stat().st_size,
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


def _keep(row: Row | Opened | Evaluated, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(row), indent=1) + "\n", encoding="utf-8")


def document() -> str:
    """Return the text of docs/scale.md."""
    rows = [Row(**json.loads(path.read_text("utf-8"))) for path in sorted(_RESULTS.glob("*.json"))]
    rows.sort(key=lambda row: (row.model_bytes, row.engine, row.images))
    models = [Opened(**json.loads(path.read_text("utf-8"))) for path in sorted(_OPENED.glob("*.json"))]
    models.sort(key=lambda model: (model.model_bytes, model.model))
    passes = [_evaluated(json.loads(path.read_text("utf-8"))) for path in _EVALUATED.glob("*.json")]
    passes.sort(key=lambda done: (done.model_bytes, done.images))
    parts = (_memory(rows), _stages(rows), _rest(rows), _evaluations(passes), _images(rows), _openings(models))
    return "\n".join([*_INTRODUCTION, *(line for part in parts for line in (*part, ""))])


_INTRODUCTION = (
    "# How far one machine goes",
    "",
    "Drawn by `python benchmarks/scale.py write` from what `python benchmarks/scale.py run MODEL PRESET --images N`",
    "kept in `benchmarks/results/scale`. The images are the 500 of the shared set under as many names as it takes",
    "(`benchmarks/full_set.py`): time, memory and disk are those of so many images, accuracy is that of 500. What the",
    "search needs of the images, and why, is in [decisions/many-images.md](decisions/many-images.md).",
    "What has no row here has not been run.",
    "",
    "*Beside* is what other processes took of the cores meanwhile: up to a tenth, times are those of a quiet machine's",
    "clock; more is marked busy, and its times are no claim. A load instead is from before that was kept.",
    "",
)


def _memory(rows: list[Row]) -> list[str]:
    lines = [
        "## Memory and disk",
        "",
        "Anonymous memory summed over the process tree at its peak, beside 600 MB and 4 times the model. Neural",
        "Compressor's own child is not counted in rows of engine `inc`. Decoded images stay on the disk until",
        "`--remove_crops`.",
        "",
        "| model | engine | images | memory | largest in | bound | decoded images | the rest of `work/` |",
        "|---|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.model}, {row.model_bytes / 1e6:.0f} MB | `{row.engine}` | {row.images:,} | "
            f"{row.peak_bytes / 1e6:,.0f} MB | {max(row.peaks, key=row.peaks.__getitem__, default='')} | "
            f"{row.bound / 1e6:,.0f} MB{', exceeded' if row.peak_bytes > row.bound else ''} | "
            f"{row.crop_bytes / 1e9:.2f} GB | "
            f"{row.work_bytes / 1e6:,.0f} MB |"
        )
    notes = [f"{row.model}, {row.images:,} images: {row.note}" for row in rows if row.note]
    return [*lines, *(line for note in notes for line in ("", *textwrap.wrap(note, 118)))]


def _stages(rows: list[Row]) -> list[str]:
    lines = [
        "## Time",
        "",
        "Images a second by the clock, of what all cores could do by the processor time of one image.",
        "",
        "| model | engine | images | decode | evaluate fp32 | written files | whole run | beside |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        files = row.unseen / row.limits["fp32"] + 2 * (row.evaluated + row.unseen) / row.limits["int8"]
        lines.append(
            f"| {row.model} | `{row.engine}` | {row.images:,} | "
            f"{_rate(row.images, row.stages.get('decode the images'), row.limits['decode'])} | "
            f"{_rate(row.evaluated, row.stages.get('evaluate fp32'), row.limits['fp32'])} | "
            f"{_share(files, row.stages.get('evaluate the written files'))} | {_span(row.seconds, 'min', 's')}, "
            f"{_span(row.processor, 'core-minutes', 'core-seconds')} | {row.beside} |"
        )
    return lines


def _rest(rows: list[Row]) -> list[str]:
    lines = [
        "## Where the time goes",
        "",
        "What decoding and evaluating fp32 took by the clock, of what they take at least; and core-seconds of the",
        "whole run, of those that all decoding and all evaluations take at least. The rest is calibration, the",
        "search's own work, timing, and writing: it does not grow with the images, so it is the larger the fewer there",
        "are.",
        "",
        "| model | engine | images | decode and fp32 | core-seconds | the longest stages |",
        "|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        longest = sorted(row.stages.items(), key=lambda stage: -stage[1])[:5]
        cores = row.cores * row.least_seconds
        lines.append(
            f"| {row.model} | `{row.engine}` | {row.images:,} | {row.until_fp32:,.0f} s, "
            f"{row.until_fp32 / row.least_until_fp32:.2f} times | "
            f"{row.processor:,.0f}, {row.processor / cores:.2f} times "
            f"{cores:,.0f} | {', '.join(f'{name} {seconds:,.0f} s' for name, seconds in longest)} |"
        )
    return lines


def _evaluated(kept: dict[str, Any]) -> Evaluated:
    stages = {name: Stage(**stage) for name, stage in kept.pop("stages").items()}
    return Evaluated(**kept, stages=stages)


def _evaluations(passes: list[Evaluated]) -> list[str]:
    lines = [
        "## Evaluation by itself",
        "",
        "`python benchmarks/scale.py evaluate MODEL PRESET --images N --work FOLDER`: images are decoded, and fp32 is",
        "evaluated on them, by the clock. The least is decoding, and inference in the same batches, alone on all",
        "cores: core-seconds over cores (`benchmarks/evaluated.py`). At most 1.15 times that is asked of both on",
        "50,000 images; on few, the start of the processes that decode weighs more. The crops were in memory (tmpfs):",
        "what a disk is waited for is not in it. Without others is estimated, from core-seconds and from the time in",
        "which a core had nothing to run.",
        "",
        "| model | images | batch | decode | evaluate fp32 | both | least | beside | without others | idle | memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for done in passes:
        both = ("decode", "fp32")
        least, others = done.least(*both), done.others(*both)
        idle = sum(done.stages[stage].idle for stage in both) / done.cores / done.undisturbed(*both)
        rates = [_rate(done.images, done.clock(stage), done.cores / done.limits[stage]) for stage in both]
        lines.append(
            f"| {done.model}, {done.model_bytes / 1e6:,.0f} MB | {done.images:,} | {done.batch} | "
            f"{' | '.join(rates)} | {done.clock(*both):,.0f} s, {done.clock(*both) / least:.2f} times | "
            f"{least:,.0f} s | {'–' if others is None else _beside(others)} | "
            f"{done.undisturbed(*both) / least:.2f} times | {idle:.0%} | "
            f"{max(stage.peak_bytes for stage in done.stages.values()) / 1e6:,.0f} MB |"
        )
    return lines


def _openings(models: list[Opened]) -> list[str]:
    lines = [
        "## Opening a model",
        "",
        "What the process takes that a model is opened in first, beside what it may take by default (`--max_memory`):",
        "2 GB and 6 times the model.",
        "",
        "| model | bound | resident | writable | of the bound | time |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for model in models:
        lines.append(
            f"| {model.model}, {model.model_bytes / 1e6:,.0f} MB | {model.bound / 1e6:,.0f} MB | "
            f"{model.resident / 1e6:,.0f} MB | {model.writable / 1e6:,.0f} MB | "
            f"{max(model.resident, model.writable) / model.bound:.0%} | {model.seconds:.0f} s |"
        )
    return lines


def _images(rows: list[Row]) -> list[str]:
    lines = [
        "## Images",
        "",
        "Images of all evaluations, as passes over all of them; and how many each trial was judged on. At most three",
        "in int8 and one in fp32 are asked of 50,000. Where fewer than 5,000 are evaluated, none are kept from the",
        "trials, and a candidate that may pass is judged on all of them: more passes, over fewer images.",
        "",
        "| model | engine | images | fp32 passes | int8 passes | each trial | longest silence |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        every = row.evaluated + row.unseen
        judged = ", ".join("–" if images is None else f"{images:,}" for images in row.judged[:8])
        lines.append(
            f"| {row.model} | `{row.engine}` | {row.images:,} | {row.inferences.get('fp32', 0) / every:.2f} | "
            f"{row.inferences.get('int8', 0) / every:.2f} | {judged} | {row.silence:.0f} s |"
        )
    return lines


_QUIET = 0.1


def _beside(share: float) -> str:
    return f"{share:.0%}" if share <= _QUIET else f"{share:.0%}: busy"


_FEW_SECONDS = 180


def _span(seconds: float, minutes_of: str, seconds_of: str) -> str:
    return f"{seconds:.0f} {seconds_of}" if seconds < _FEW_SECONDS else f"{seconds / 60:.0f} {minutes_of}"


def _rate(images: int, seconds: float | None, limit: float) -> str:
    if not seconds:
        return "–"
    return f"{images / seconds:,.0f}/s of {limit:,.0f} ({images / seconds / limit:.0%})"


def _share(least: float, seconds: float | None) -> str:
    return "–" if not seconds else f"{seconds:,.0f} s, at least {least:,.0f} ({least / seconds:.0%})"


if __name__ == "__main__":
    main()
