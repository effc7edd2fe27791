"""One network on the bench: its fp32 model and images, the same for all contenders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contest.pages import render_pages
from contest.subjects import Places, Subject
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.split import split
from quantize.evaluation.inference import open_scores, scores_of
from quantize.models.artifact import ModelArtifact
from quantize.models.contract import ScoreKind, score_kind
from quantize.models.prepare import prepare

CALIBRATION, EVALUATION, BATCH, SEED = 100, 200, 8, 1978

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bench:
    """A network with what every contender gets.

    Attributes:
        name: The network's.
        subject: What is known of it.
        source: Its file as it is had, which our own tool gets.
        fp32: The same cleaned, channels first, which all other tools get: constants folded, BatchNormalization where
            it stays.
        folder: For what is made.
        data: Folder of the images of both parts.
        labels: Their label file; None without truth.
        calibration_list: Names the images that calibrate.
        calibration: float32 (100, C, H, W).
        evaluation: float32 (200, C, H, W).
        truth: Labels of the latter; None without truth.
    """

    name: str
    subject: Subject
    source: Path
    fp32: ModelArtifact
    folder: Path
    data: Path
    labels: Path | None
    calibration_list: Path
    calibration: Floats
    evaluation: Floats
    truth: NDArray[np.int64] | None

    @classmethod
    def of(cls, name: str, subject: Subject, places: Places) -> Bench:
        """Return the bench of a network; what is not there yet is made."""
        folder = places.work / name
        folder.mkdir(parents=True, exist_ok=True)
        source = subject.file(places)
        fp32 = prepare(source, folder / "fp32.onnx", opset=13)
        pictures, labels = places.photographs, places.labels
        if subject.pages:
            labels = render_pages(places.work, CALIBRATION + EVALUATION, SEED)
            pictures = places.work / "pages"
        preprocessing = subject.preprocessing(source).for_input_size(*(fp32.contract.image_size or (None, None)))
        known = open_images(pictures, labels if subject.truth else None, classes=fp32.contract.classes)
        crops = crop_images(known, preprocessing, places.work / "crops")
        parts = split(crops.ids, calibration_size=CALIBRATION, in_evaluation=False, certification_share=0.0, seed=SEED)
        first, second = crops.subset(parts.calibration), crops.subset(parts.evaluation)
        names = [*first.ids, *second.ids[:EVALUATION]]
        data = _linked(folder / "images", pictures, names)
        listed = folder / "calibration.txt"
        listed.write_text("".join(f"{each}\n" for each in first.ids), encoding="utf-8")
        calibration, evaluation = (
            preprocessing.normalize(np.stack([part.array[at] for at in range(min(len(part), count))]))
            for part, count in ((first, CALIBRATION), (second, EVALUATION))
        )
        truth = None if second.labels is None else np.asarray(second.labels[:EVALUATION], np.int64)
        return cls(
            name=name,
            subject=subject,
            source=source,
            fp32=fp32,
            folder=folder,
            data=data,
            labels=_labels(folder / "labels.txt", labels, names) if subject.truth else None,
            calibration_list=listed,
            calibration=calibration,
            evaluation=evaluation,
            truth=truth,
        )

    @cached_property
    def kind(self) -> ScoreKind:
        """Whether the scores are probabilities or logits."""
        return score_kind(self.fp32.proto())

    @cached_property
    def reference(self) -> Floats:
        """Scores of fp32, float32 (200, classes)."""
        session = open_scores(self.fp32)
        starts = range(0, len(self.evaluation), BATCH)
        parts = [scores_of(session, self.fp32.contract, self.evaluation[at : at + BATCH]) for at in starts]
        return np.concatenate(parts)

    def job(self, output: Path) -> Path:
        """Write what a tool in a process of its own needs, and return that file."""
        images = self.folder / "calibration.npy"
        if not images.is_file():
            np.save(images, self.calibration)
        path = output.with_suffix(".job.json")
        job = {
            "model": str(self.fp32.path),
            "input": self.fp32.contract.input.name,
            "calibration": str(images),
            "output": str(output),
            "transformer": self.subject.transformer,
        }
        path.write_text(json.dumps(job), encoding="utf-8")
        return path


def _linked(folder: Path, source: Path, names: list[str]) -> Path:
    """Make a folder with links to these images alone, so that all judge on the same ones."""
    folder.mkdir(exist_ok=True)
    for name in names:
        place = folder / name
        if not place.is_symlink():
            place.symlink_to((source / name).resolve())
    return folder


def _labels(place: Path, known: Path, names: list[str]) -> Path:
    """Write the label lines of these images alone: our own tool takes no label without its image."""
    lines = known.read_text(encoding="utf-8").splitlines()
    wanted = set(names)
    place.write_text("".join(f"{line}\n" for line in lines if line.split()[0] in wanted), encoding="utf-8")
    return place
