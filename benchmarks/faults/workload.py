"""A small run to break off: a classifier of six colours, its images, and what an unbroken run of it comes to."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.processes import Command

MEMORY = "FAULTS_MEMORY"
"""Variable that has memory measured, in child processes."""

CHARTS = "FAULTS_CHARTS"
"""Variable that has charts drawn: they are most of the work behind the search, and write nothing."""


@dataclass(frozen=True)
class Workload:
    """Where the inputs lie.

    Attributes:
        folder: The inputs: model, images, settings, the cache with this machine's measurement.
        engine: What searches.
        table: Recorded latencies, so that every run of ``native`` decides alike; None: measure.
        whole: Where the run lies that nothing broke.
        seconds: How long it took.
        images: Other copies of the images; None: those in ``folder``.
    """

    folder: Path
    engine: str
    table: Path | None = None
    whole: Path = Path()
    seconds: float = 0.0
    images: Path | None = None

    def tune(self, place: Path) -> tuple[str, ...]:
        """Return the command line of a run in ``place``."""
        named = () if self.table is None or self.engine != "native" else ("--latency_table", str(self.table))
        images = () if self.images is None else ("--data_path", str(self.images))
        return (
            *("tune", "--input_model", str(self.folder / "colours-13.onnx"), "--workers", "1"),
            *("--config", str(self.folder / "settings.yaml"), "--engine", self.engine),
            *("--output_model", str(place / "run"), *named, *images),
        )

    def resume(self, place: Path) -> tuple[str, ...]:
        """Return the command line that goes on with the run in ``place``."""
        return ("tune", "--resume", str(place / "run"), "--workers", "1")

    def environment(self, place: Path) -> dict[str, str]:
        """Return variables that keep everything a run writes in ``place``, and watch it."""
        folders = {name: place / name for name in ("run", "tmp", "cache")}
        folders["tmp"].mkdir(parents=True, exist_ok=True)
        if not folders["cache"].is_dir():
            shutil.copytree(self.folder / "cache", folders["cache"])
        return {
            "TMPDIR": str(folders["tmp"]),
            "QUANTIZE_CACHE": str(folders["cache"]),
            "NO_COLOR": "1",
            "FAULTS_WATCH": ":".join(map(str, folders.values())),
        }

    def command(self, place: Path, **more: Any) -> Command:
        """Return the run in ``place``."""
        return Command(self.tune(place), place, self.environment(place), **more)

    def going_on(self, place: Path, **more: Any) -> Command:
        """Return what goes on in ``place``: resumes where something was recorded, else begins."""
        begun = journaled(place / "run") != b""
        words = self.resume(place) if begun else (*self.tune(place), "--overwrite")
        return Command(words, place, self.environment(place), **more)


def make_inputs(folder: Path) -> None:
    """Write model, images and settings."""
    import numpy as np
    import onnx
    from PIL import Image

    from quantize.config import load_config
    from tests.run.colours import COLOURS, SETTINGS, SIDE, colours

    images = folder / "val"
    images.mkdir(parents=True)
    onnx.save(colours(), folder / "colours-13.onnx")
    draw, lines = np.random.default_rng(5), []
    for number in range(96):
        label = number % len(COLOURS)
        pixels = np.array(COLOURS[label]) + draw.normal(0, 35, (SIDE, SIDE, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(images / f"image{number:03d}.png")
        lines.append(f"image{number:03d}.png {label}\n")
    (folder / "val.txt").write_text("".join(lines))
    (folder / "cache").mkdir()
    given = {**SETTINGS, "data.path": str(images), "data.labels": str(folder / "val.txt"), "rewrites": "all"}
    (folder / "settings.yaml").write_text(load_config(None, given).to_yaml())


def outcome(run: Path) -> tuple[object, ...] | None:
    """Return what a run came to: the recipe, both graphs and their accuracy; None without a whole report."""
    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        models = [
            (
                model["graph_sha256"],
                model["selection"]["evaluation"]["top1"]["expected"],
                (run / model["file"]).stat().st_size > 0,
            )
            for model in report["models"]
        ]
        return (report["chosen"]["recipe_id"], *models)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def journaled(run: Path) -> bytes:
    """Return the whole lines of a run's journal."""
    try:
        content = (run / "trials.jsonl").read_bytes()
    except OSError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file below a folder."""
    return {
        str(Path(place) / name): ((status := os.stat(Path(place) / name)).st_size, status.st_mtime_ns)  # noqa: PTH116
        for place, _, names in os.walk(folder)
        for name in names
    }
