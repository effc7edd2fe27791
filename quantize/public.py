"""The Python API: paths and settings as keyword arguments, the report's types as results.

Each function is what the command of the same name does. The examples run where the model and the images named are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantize.commands.settings import PathLike, PreprocessingSettings, Settings, configured
from quantize.progress import Progress, silent

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.gate.result import GateResult
    from quantize.prediction.answers import PredictReport
    from quantize.report.benchmark import BenchmarkReport
    from quantize.report.models import AccuracySection
    from quantize.run.request import TuneResult


def tune(
    input_model: PathLike | None = None,
    *,
    output_model: PathLike | None = None,
    config: PathLike | None = None,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    criterion: Literal["accuracy", "none"] = "accuracy",
    workers: int | None = None,
    progress: Progress = silent,
    **settings: Unpack[Settings],
) -> TuneResult:
    """Quantize a model so that it meets the accuracy criterion.

    Example:
        >>> result = quantize.tune(
        ...     "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet",
        ...     sampling_size=10, output_model="run")
        >>> result.report.verdict.status
        'met'
        >>> sorted(file.name for file in result.run.glob("*.onnx"))
        ['model-13-int8.onnx', 'model-13-qdq.onnx']

    Args:
        input_model: The fp32 model; None: the demonstration.
        output_model: A folder, or a ``.onnx`` file; None: a folder of the model's name under ``runs``.
        config: A configuration file; the other arguments win over it.
        overwrite: Replace an earlier run in the same place.
        skip_unreadable: Leave unreadable images out, and list them.
        criterion: ``none``: no baseline check and no verdict.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances.
        settings: Any setting of a configuration file, by its last name: ``data_path``, ``preset``, ``relative``, …

    Returns:
        The run's folder, its report, and the exit code of the command.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.run.request import TuneRequest
    from quantize.run.tune import tune as tune_model

    request = TuneRequest(
        config=configured(config, settings),
        input_model=_path(input_model),
        output_model=_path(output_model),
        overwrite=overwrite,
        skip_unreadable=skip_unreadable,
        criterion=criterion,
        workers=workers,
        command=("quantize.tune",),
    )
    return tune_model(request, progress=progress)


def benchmark(
    input_model: PathLike | None = None,
    *,
    baseline_model: PathLike | None = None,
    mode: Literal["accuracy", "performance", "both"] = "both",
    config: PathLike | None = None,
    output_dir: PathLike | None = None,
    batch_sizes: Sequence[int] | None = None,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **settings: Unpack[Settings],
) -> BenchmarkReport:
    """Measure accuracy and speed of a model, next to its fp32 baseline where one is named.

    Example:
        >>> report = quantize.benchmark(
        ...     "run/model-13-int8.onnx", baseline_model="model.onnx", data_path="images", max_seconds=30)
        >>> [model.name for model in report.models]
        ['fp32', 'model-13-int8']

    Args:
        input_model: The model to measure; None: both models of the newest run under ``runs``.
        baseline_model: The fp32 model to compare with, in turns in the same process.
        mode: What to measure.
        config: A configuration file; the other arguments win over it.
        output_dir: Where ``benchmark.json`` and ``benchmark.txt`` go; None: nowhere.
        batch_sizes: Batch sizes to measure throughput at; None: none.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances.
        settings: Any setting of a configuration file, by its last name.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.benchmark import benchmark as benchmark_models
    from quantize.commands.benchmark_subjects import BenchmarkRequest

    request = BenchmarkRequest(
        config=configured(config, settings),
        input_model=_path(input_model),
        baseline_model=_path(baseline_model),
        mode=mode,
        output_dir=_path(output_dir),
        batch_sizes=None if batch_sizes is None else tuple(batch_sizes),
        skip_unreadable=skip_unreadable,
        workers=workers,
    )
    return benchmark_models(request, progress=progress)


def evaluate(
    model: PathLike,
    *,
    baseline_model: PathLike | None = None,
    config: PathLike | None = None,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    **settings: Unpack[Settings],
) -> AccuracySection:
    """Return a model's accuracy, and where a baseline is named, the paired comparison with it.

    Example:
        >>> accuracy = quantize.evaluate(
        ...     "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet")
        >>> accuracy.evaluation.top1.expected
        1.0

    Args:
        model: The model, fp32 or quantized.
        baseline_model: The fp32 model that it was made from.
        config: A configuration file; the other arguments win over it.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances.
        settings: Any setting of a configuration file, by its last name.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    report = benchmark(
        model,
        baseline_model=baseline_model,
        mode="accuracy",
        config=config,
        skip_unreadable=skip_unreadable,
        workers=workers,
        progress=progress,
        **settings,
    )
    accuracy = report.models[-1].accuracy
    assert accuracy is not None
    return accuracy


def predict(
    model: PathLike,
    images: PathLike | Sequence[PathLike],
    *,
    compare: PathLike | None = None,
    top: int = 5,
    class_names: PathLike | None = None,
    batch_size: int = 16,
    skip_unreadable: bool = False,
    progress: Progress = silent,
    **preprocessing: Unpack[PreprocessingSettings],
) -> PredictReport:
    """Return the likeliest classes of each image.

    Example:
        >>> report = quantize.predict("run/model-13-int8.onnx", "images", compare="model.onnx")
        >>> report.predictions[0].label, report.predictions[0].agrees
        (0, True)

    Args:
        model: The model, fp32 or quantized.
        images: Files, and folders of images.
        compare: A model to compare with, such as the fp32 model.
        top: How many answers an image.
        class_names: A file with a name a line; None: ImageNet's for 1,000 classes.
        batch_size: Images run at once.
        skip_unreadable: Go on without images that cannot be read.
        progress: Called after every batch of images.
        preprocessing: A preset or its parts; without any, the model's metadata and then the catalog decide.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.predict import predict as predict_images

    places = [images] if isinstance(images, str) or not isinstance(images, Sequence) else images
    return predict_images(
        Path(model),
        [str(place) for place in places],
        preprocessing=configured(None, dict(preprocessing)).preprocessing,
        compare=_path(compare),
        top=top,
        class_names=_path(class_names),
        batch_size=batch_size,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )


def check(
    run: PathLike,
    *,
    baseline: PathLike | None = None,
    tolerances: PathLike | None = None,
    junit: PathLike | None = None,
    on_inconclusive: Literal["pass", "fail"] | None = None,
    require: Sequence[str] = (),
    limits_only: bool = False,
) -> GateResult:
    """Hold a run against an accepted baseline, or against limits alone, and write ``check.md`` next to its report.

    Example:
        >>> result = quantize.check("run", tolerances="tolerances.yaml")
        >>> {line.verdict for line in result.lines}
        {'pass'}

    Args:
        run: The run's folder, or its ``report.json``.
        baseline: What ``quantize baseline accept`` wrote; None if the tolerances compare with none.
        tolerances: A YAML file; None: the packaged ones.
        junit: Where JUnit XML goes; None: nowhere.
        on_inconclusive: What to make of inconclusive lines; None: they have an exit code of their own.
        require: Figures that have to be compared: where they were not, their lines fail.
        limits_only: Without a baseline: leave out what the tolerances say of one.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.check import check_run

    return check_run(
        Path(run),
        _path(baseline),
        _path(tolerances),
        _path(junit),
        on_inconclusive,
        require=tuple(require),
        limits_only=limits_only,
    )


def _path(place: PathLike | None) -> Path | None:
    return None if place is None else Path(place)
