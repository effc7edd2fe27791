"""The models and images of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.config.run_config import RunConfig
from quantize.data.preprocessing import Preprocessing
from quantize.errors import ConfigError, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.prediction.preprocessing import preprocessings_of
from quantize.recipe import Recipe
from quantize.report.schema import RunReport
from quantize.report.storage import read_report
from quantize.run.folder import newest_run
from quantize.run.resolve import target_of
from quantize.target import CpuClass

BASELINE = "fp32"

PRECISION = 0.02
"""Width of a speed-up's interval, relative to it, that is asked for where nothing else is."""


@dataclass(frozen=True)
class BenchmarkRequest:
    """One benchmark.

    Attributes:
        config: All settings, resolved.
        input_model: The model to measure; None: the models of a run.
        baseline_model: The fp32 model that it is compared with, in the same process.
        mode: What to measure.
        output_dir: Where ``benchmark.json`` and ``benchmark.txt`` go; None: nowhere.
        runs_dir: Where runs are looked for.
        run: That run's folder; None: the newest under ``runs_dir``.
        precision: Width of the speed-up's interval, relative to it, that ends the measurement.
        profile: Show the time of every operator.
        batch_sizes: Batch sizes to measure throughput at; None: none.
        calibration_images: Whether images that calibrated a model count where accuracy is measured.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
    """

    config: RunConfig
    input_model: Path | None = None
    baseline_model: Path | None = None
    mode: Literal["accuracy", "performance", "both"] = "both"
    output_dir: Path | None = None
    runs_dir: Path = Path("runs")
    run: Path | None = None
    precision: float = PRECISION
    profile: bool = False
    batch_sizes: tuple[int, ...] | None = None
    calibration_images: Literal["in", "out"] = "in"
    skip_unreadable: bool = False
    workers: int | None = None

    @property
    def asks_accuracy(self) -> bool:
        """Return whether accuracy is to be measured."""
        return self.mode != "performance"

    @property
    def asks_speed(self) -> bool:
        """Return whether speed is to be measured."""
        return self.mode != "accuracy"


@dataclass(frozen=True)
class Subjects:
    """What is measured on what.

    Attributes:
        models: Name to model, the baseline first; the name ``fp32`` is the baseline's.
        preprocessings: Name to how images become that model's input; all begin with the same crops.
        data: The images.
        labels: Their labels, or None.
        recipe: What the quantized models were built from, where a run says so.
        target: The class of CPUs that they are for: what is asked for, else the run's, else this machine's.
    """

    models: dict[str, ModelArtifact]
    preprocessings: dict[str, Preprocessing]
    data: Path
    labels: Path | None
    recipe: Recipe | None
    target: CpuClass

    @property
    def compared(self) -> bool:
        """Return whether there is a baseline."""
        return BASELINE in self.models

    @property
    def preprocessing(self) -> Preprocessing:
        """Return the first model's preprocessing, which decides every model's crops."""
        return self.preprocessings[next(iter(self.models))]


def subjects(request: BenchmarkRequest) -> Subjects:
    """Return the models and images of a request: those that it names, or those of a run.

    Raises:
        ConfigError: No images are named, or no preprocessing.
        ModelError: A model cannot be read, or they do not fit each other.
        RunError: No model is named and there is no run.
    """
    report: RunReport | None
    bounds = Bounds.of(request.config.model)
    if request.input_model is None:
        folder = request.run or newest_run(request.runs_dir)
        report = read_report(folder / "report.json")
        models = _models_of(folder, report, request.baseline_model, request.config.model.score_output, bounds)
    else:
        scores, baseline = request.config.model.score_output, request.baseline_model
        models = {} if baseline is None else {BASELINE: _opened(baseline, scores, bounds)}
        own = _opened(request.input_model, scores, bounds)
        models[own.path.stem if own.path.stem != BASELINE else "model"] = own
        report = _report_next_to(own)
    _require_same_kind(models)
    settings = request.config.data
    data = settings.path or (Path(report.data.path) if report else None)
    if data is None:
        raise ConfigError(
            "no images are named",
            where="--data_path",
            expected="a folder of images, or data.path in the configuration",
            advice="pass --data_path FOLDER --label_path FILE",
        )
    labels = settings.labels
    if settings.path is None and report is not None and report.data.labels is not None:
        labels = Path(report.data.labels)
    recipe = report.chosen.recipe if report is not None else None
    target = target_of(request.config, None if report is None else report.chosen.target)
    return Subjects(
        models, preprocessings_of(models, request.config.preprocessing, report), data, labels, recipe, target
    )


def _models_of(
    folder: Path, report: RunReport, baseline: Path | None, score_output: str | None, bounds: Bounds
) -> dict[str, ModelArtifact]:
    fp32 = baseline or folder / report.baseline.file
    if not fp32.is_file():  # the work folder may be removed
        fp32 = Path(report.source.path)
    if score_output is None and report.scores is not None and report.scores.given:
        score_output = report.scores.tensor
    models = {BASELINE: _opened(fp32, score_output, bounds)}
    return models | {model.role: _opened(folder / model.file, None, bounds) for model in report.models}


def _opened(path: Path, score_output: str | None, bounds: Bounds) -> ModelArtifact:
    prove(path, bounds, score_output=score_output)
    return ModelArtifact.load(path, score_output=score_output)


def _report_next_to(model: ModelArtifact) -> RunReport | None:
    """Return the report of the run that wrote a model, if it lies in its run's folder."""
    for folder in (model.path.parent, model.path.with_suffix(".run")):
        path = folder / "report.json"
        if path.is_file():
            report = read_report(path)
            if model.sha256 in {written.sha256 for written in report.models}:
                return report
    return None


def _require_same_kind(models: dict[str, ModelArtifact]) -> None:
    """Refuse models that cannot see the same images or do not score the same classes."""
    first, *others = models.values()
    for other in others:
        for what, ours, theirs in (
            ("image sizes", first.contract.image_size, other.contract.image_size),
            ("numbers of classes", first.contract.classes, other.contract.classes),
        ):
            if ours is not None and theirs is not None and ours != theirs:
                raise ModelError(
                    f"the two models have different {what}",
                    where=str(other.path),
                    found=f"{theirs}, and {ours} in {first.path}",
                    expected="the same",
                    advice="compare a model with the fp32 model that it was made from",
                )
