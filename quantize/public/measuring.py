"""``quantize.benchmark`` and ``quantize.evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantize.commands.settings import PathLike, Settings, configured
from quantize.public.progress import shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.progress import Progress
    from quantize.public.kinds import Labels, ModelLike, Pictures
    from quantize.report.benchmark import BenchmarkReport
    from quantize.report.models import AccuracySection


def benchmark(
    input_model: ModelLike | None = None,
    *,
    baseline_model: ModelLike | None = None,
    images: Pictures | None = None,
    labels: Labels | None = None,
    mode: Literal["accuracy", "performance", "both"] = "both",
    config: PathLike | None = None,
    output_dir: PathLike | None = None,
    batch_sizes: Sequence[int] | None = None,
    calibration_images: Literal["in", "out"] = "in",
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> BenchmarkReport:
    """Measure accuracy and speed of a model, next to its fp32 baseline where one is named.

    Example:
        >>> report = quantize.benchmark(
        ...     "run/model-13-int8.onnx", baseline_model="model.onnx", data_path="images", max_seconds=30)
        >>> [model.name for model in report.models]
        ['fp32', 'model-13-int8']

    Args:
        input_model: The model to measure, as a path, bytes of a file or a ModelProto; None: both models of the newest
            run under ``runs``.
        baseline_model: The fp32 model to compare with, in turns in the same process.
        images: Decoded pictures in place of ``data_path``: uint8 (N, H, W, 3), or a sequence of pictures.
        labels: A class for each of ``images``, or for each a sequence of labels.
        mode: What to measure.
        config: A configuration file; the other arguments win over it.
        output_dir: Where ``benchmark.json`` and ``benchmark.txt`` go; None: nowhere.
        batch_sizes: Batch sizes to measure throughput at; None: none.
        calibration_images: ``out``: images that calibrated a model do not count for accuracy; its file tells them.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances; None: a bar in a notebook or a terminal, silence elsewhere.
        settings: Any setting of a configuration file, by its last name.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.benchmark import benchmark as benchmark_models
    from quantize.commands.benchmark_subjects import BenchmarkRequest
    from quantize.commands.idle_flags import given_names, refuse_idle_for_benchmark
    from quantize.public.given import model_file
    from quantize.public.images import with_images

    known = with_images(settings, images, labels)
    leaves_out = calibration_images == "out" or None
    given = given_names({**known, "batch_sizes": batch_sizes, "calibration_images": leaves_out})
    refuse_idle_for_benchmark(given, mode, compares=input_model is None or baseline_model is not None)
    request = BenchmarkRequest(
        config=configured(config, known),
        input_model=None if input_model is None else model_file(input_model),
        baseline_model=None if baseline_model is None else model_file(baseline_model),
        mode=mode,
        output_dir=None if output_dir is None else Path(output_dir),
        batch_sizes=None if batch_sizes is None else tuple(batch_sizes),
        calibration_images=calibration_images,
        skip_unreadable=skip_unreadable,
        workers=workers,
    )
    with shown(progress) as told:
        return benchmark_models(request, progress=told)


def evaluate(
    model: ModelLike,
    *,
    baseline_model: ModelLike | None = None,
    images: Pictures | None = None,
    labels: Labels | None = None,
    config: PathLike | None = None,
    calibration_images: Literal["in", "out"] = "in",
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> AccuracySection:
    """Return a model's accuracy, and where a baseline is named, the paired comparison with it.

    Example:
        >>> accuracy = quantize.evaluate(
        ...     "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet")
        >>> accuracy.evaluation.top1.expected
        1.0

    Args:
        model: The model, fp32 or quantized, as a path, bytes of a file or a ModelProto.
        baseline_model: The fp32 model that it was made from.
        images: Decoded pictures in place of ``data_path``: uint8 (N, H, W, 3), or a sequence of pictures.
        labels: A class for each of ``images``, or for each a sequence of labels.
        config: A configuration file; the other arguments win over it.
        calibration_images: ``out``: images that calibrated a model do not count for accuracy; its file tells them.
        skip_unreadable: Leave unreadable images out, and list them.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances; None: a bar in a notebook or a terminal, silence elsewhere.
        settings: Any setting of a configuration file, by its last name.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    report = benchmark(
        model,
        baseline_model=baseline_model,
        images=images,
        labels=labels,
        mode="accuracy",
        config=config,
        calibration_images=calibration_images,
        skip_unreadable=skip_unreadable,
        workers=workers,
        progress=progress,
        **settings,
    )
    accuracy = report.models[-1].accuracy
    assert accuracy is not None
    return accuracy
