"""``docs/scale.md``, drawn from the kept results alone."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from evaluated import Evaluated, Stage
from measured_on import MeasuredOn
from opened import Opened
from tuned import Tuned

from quantize.report.wording import percent


def document(results: Path) -> str:
    """Return the text of docs/scale.md.

    Args:
        results: Holds a folder for each CPU, with what was tuned, `evaluated` and `opened` there, a JSON file each.
    """
    rows = [Tuned(**_kept(path)) for path in results.glob("*/*.json")]
    rows.sort(key=lambda row: (row.model_bytes, row.engine, row.images, row.label_free, row.cpu.folder))
    models = [Opened(**_kept(path)) for path in results.glob("*/opened/*.json")]
    models.sort(key=lambda model: (model.model_bytes, model.model, model.cpu.folder))
    passes = [_evaluated(_kept(path)) for path in results.glob("*/evaluated/*.json")]
    passes.sort(key=lambda done: (done.model_bytes, done.images, done.cpu.folder))
    parts = (memory(rows), stages(rows), rest(rows), evaluations(passes), images(rows), openings(models))
    of_made_weights = _LABEL_FREE if any(row.label_free for row in rows) else ()
    return "\n".join([*_INTRODUCTION, *of_made_weights, *(line for part in parts for line in (*part, ""))])


def _kept(path: Path) -> dict[str, Any]:
    kept = json.loads(path.read_text("utf-8"))
    return {**kept, "cpu": MeasuredOn(**kept["cpu"])}


_INTRODUCTION = (
    "# How far one machine goes",
    "",
    "Drawn by `python benchmarks/scale.py write` from what `python benchmarks/scale.py run MODEL PRESET --images N`",
    "kept in `benchmarks/results/scale`. The images are the 500 of the shared set under as many names as it takes",
    "(`benchmarks/full_set.py`): time, memory and disk are those of so many images, accuracy is that of 500. What the",
    "search needs of the images, and why, is in [decisions/many-images.md](decisions/many-images.md).",
    "What has no row here has not been run. Each row names the CPU that it was measured on, and its class.",
    "",
    "*Beside* is what other processes took of the cores meanwhile: up to a tenth, times are those of a quiet machine's",
    "clock; more is marked busy, and its times are no claim. A load instead is from before that was kept.",
    "",
)

_LABEL_FREE = (
    "*Label-free* rows were tuned without the label list and with `--criterion none`, by",
    "`python benchmarks/scale.py run MODEL PRESET --images N --work FOLDER --label_free`: these networks have made",
    "weights (`python benchmarks/make_networks.py`), whose answers have nothing to do with the labels. No trial is",
    "judged on images there; the written files are evaluated all the same.",
    "",
)


def memory(rows: list[Tuned]) -> list[str]:
    """Return the section on memory and disk."""
    lines = [
        "## Memory and disk",
        "",
        "Anonymous memory summed over the process tree at its peak, beside 600 MB and 4 times the model. Neural",
        "Compressor's own child is not counted in rows of engine `inc`. Decoded images stay on the disk until",
        "`--remove_crops`.",
        "",
        "| model | CPU | engine | images | memory | largest in | bound | decoded images | the rest of `work/` |",
        "|---|---|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.model}, {row.model_bytes / 1e6:.0f} MB | {row.cpu.in_words} | {_engine(row)} | {row.images:,} | "
            f"{row.peak_bytes / 1e6:,.0f} MB | {max(row.peaks, key=row.peaks.__getitem__, default='')} | "
            f"{row.bound / 1e6:,.0f} MB{', exceeded' if row.peak_bytes > row.bound else ''} | "
            f"{row.crop_bytes / 1e9:.2f} GB | "
            f"{row.work_bytes / 1e6:,.0f} MB |"
        )
    notes = [f"{row.model}, {row.images:,} images: {row.note}" for row in rows if row.note]
    return [*lines, *(line for note in notes for line in ("", *textwrap.wrap(note, 118)))]


def stages(rows: list[Tuned]) -> list[str]:
    """Return the section on the images a second of each stage."""
    lines = [
        "## Time",
        "",
        "Images a second by the clock, of what all cores could do by the processor time of one image.",
        "",
        "| model | CPU | engine | images | decode | evaluate fp32 | written files | whole run | beside |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        files = row.unseen / row.limits["fp32"] + 2 * (row.evaluated + row.unseen) / row.limits["int8"]
        lines.append(
            f"| {row.model} | {row.cpu.in_words} | {_engine(row)} | {row.images:,} | "
            f"{_rate(row.images, row.stages.get('decode the images'), row.limits['decode'])} | "
            f"{_rate(row.evaluated, row.stages.get('evaluate fp32'), row.limits['fp32'])} | "
            f"{_share(files, row.stages.get('evaluate the written files'))} | {_span(row.seconds, 'min', 's')}, "
            f"{_span(row.processor, 'core-minutes', 'core-seconds')} | {_beside_of(row)} |"
        )
    return lines


def rest(rows: list[Tuned]) -> list[str]:
    """Return the section on where the time goes."""
    lines = [
        "## Where the time goes",
        "",
        "What decoding and evaluating fp32 took by the clock, of what they take at least; and core-seconds of the",
        "whole run, of those that all decoding and all evaluations take at least. The rest is calibration, the",
        "search's own work, timing, and writing: it does not grow with the images, so it is the larger the fewer there",
        "are.",
        "",
        "| model | CPU | engine | images | decode and fp32 | core-seconds | the longest stages |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        longest = sorted(row.stages.items(), key=lambda stage: -stage[1])[:5]
        cores = row.cores * row.least_seconds
        lines.append(
            f"| {row.model} | {row.cpu.in_words} | {_engine(row)} | {row.images:,} | {row.until_fp32:,.0f} s, "
            f"{row.until_fp32 / row.least_until_fp32:.2f} times | "
            f"{row.processor:,.0f}, {row.processor / cores:.2f} times "
            f"{cores:,.0f} | {', '.join(f'{name} {seconds:,.0f} s' for name, seconds in longest)} |"
        )
    return lines


def _evaluated(kept: dict[str, Any]) -> Evaluated:
    stages = {name: Stage(**stage) for name, stage in kept.pop("stages").items()}
    return Evaluated(**kept, stages=stages)


def evaluations(passes: list[Evaluated]) -> list[str]:
    """Return the section on evaluation by itself."""
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
        "| model | CPU | images | batch | decode | evaluate fp32 | both | least | beside | without others | idle "
        "| memory |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for done in passes:
        both = ("decode", "fp32")
        least, others = done.least(*both), done.others(*both)
        idle = sum(done.stages[stage].idle for stage in both) / done.cores / done.undisturbed(*both)
        rates = [_rate(done.images, done.clock(stage), done.cores / done.limits[stage]) for stage in both]
        lines.append(
            f"| {done.model}, {done.model_bytes / 1e6:,.0f} MB | {done.cpu.in_words} | {done.images:,} | "
            f"{done.batch} | {' | '.join(rates)} | {done.clock(*both):,.0f} s, {done.clock(*both) / least:.2f} times | "
            f"{least:,.0f} s | {'–' if others is None else _beside(others)} | "
            f"{done.undisturbed(*both) / least:.2f} times | {percent(idle, 0)} | "
            f"{max(stage.peak_bytes for stage in done.stages.values()) / 1e6:,.0f} MB |"
        )
    return lines


def openings(models: list[Opened]) -> list[str]:
    """Return the section on what opening a model takes."""
    lines = [
        "## Opening a model",
        "",
        "What the process takes that a model is opened in first, beside what it may take by default (`--max_memory`):",
        "2 GB and 6 times the model.",
        "",
        "| model | CPU | bound | resident | writable | of the bound | time |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for model in models:
        lines.append(
            f"| {model.model}, {model.model_bytes / 1e6:,.0f} MB | {model.cpu.in_words} | "
            f"{model.bound / 1e6:,.0f} MB | {model.resident / 1e6:,.0f} MB | {model.writable / 1e6:,.0f} MB | "
            f"{percent(max(model.resident, model.writable) / model.bound, 0)} | {model.seconds:.0f} s |"
        )
    return lines


def images(rows: list[Tuned]) -> list[str]:
    """Return the section on the passes over all images."""
    lines = [
        "## Images",
        "",
        "Images of all evaluations, as passes over all of them; and how many each trial was judged on. At most three",
        "in int8 and one in fp32 are asked of 50,000. Where fewer than 5,000 are evaluated, none are kept from the",
        "trials, and a candidate that may pass is judged on all of them: more passes, over fewer images.",
        "",
        "| model | CPU | engine | images | fp32 passes | int8 passes | each trial | longest silence |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        every = row.evaluated + row.unseen
        judged = ", ".join("–" if images is None else f"{images:,}" for images in row.judged[:8])
        lines.append(
            f"| {row.model} | {row.cpu.in_words} | {_engine(row)} | {row.images:,} | "
            f"{row.inferences.get('fp32', 0) / every:.2f} | {row.inferences.get('int8', 0) / every:.2f} | "
            f"{judged} | {row.silence:.0f} s |"
        )
    return lines


_QUIET = 0.1


def _beside(share: float) -> str:
    return percent(share, 0) if share <= _QUIET else f"{percent(share, 0)}: busy"


def _beside_of(row: Tuned) -> str:
    """Return which share of the cores' time other work took, or the load where that was not kept."""
    if row.others is None:
        return f"load {row.load[0]:.0f} to {row.load[1]:.0f}"
    return _beside(row.others / row.cores / row.seconds)


def _engine(row: Tuned) -> str:
    return f"`{row.engine}`{', label-free' if row.label_free else ''}"


_FEW_SECONDS = 180


def _span(seconds: float, minutes_of: str, seconds_of: str) -> str:
    return f"{seconds:.0f} {seconds_of}" if seconds < _FEW_SECONDS else f"{seconds / 60:.0f} {minutes_of}"


def _rate(images: int, seconds: float | None, limit: float) -> str:
    if not seconds:
        return "–"
    return f"{images / seconds:,.0f}/s of {limit:,.0f} ({percent(images / seconds / limit, 0)})"


def _share(least: float, seconds: float | None) -> str:
    return "–" if not seconds else f"{seconds:,.0f} s, at least {least:,.0f} ({percent(least / seconds, 0)})"
