"""``quantize.tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantize.commands.settings import PathLike, Settings, configured
from quantize.public.progress import shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.data.batches import CalibrationDataLoader
    from quantize.progress import Progress
    from quantize.public.kinds import Labels, ModelLike, Pictures
    from quantize.public.result import TuneResult


def tune(
    input_model: ModelLike | None = None,
    *,
    images: Pictures | None = None,
    labels: Labels | None = None,
    calibration: CalibrationDataLoader | None = None,
    output_model: PathLike | None = None,
    config: PathLike | None = None,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    criterion: Literal["accuracy", "none"] = "accuracy",
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> TuneResult:
    """Quantize a model so that it meets the accuracy criterion.

    Example:
        >>> result = quantize.tune(
        ...     "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet",
        ...     sampling_size=10, output_model="run")
        >>> result.met, result.int8.top1
        (True, 1.0)
        >>> sorted(file.name for file in result.run.glob("*.onnx"))
        ['model-13-int8.onnx', 'model-13-qdq.onnx']
        >>> [output.shape for output in result.session("qdq").get_outputs()]
        [['N', 3, 1, 1]]

    Args:
        input_model: The fp32 model, as a path, bytes of a file or a ModelProto; None: the demonstration.
        images: Decoded pictures in place of ``data_path``: uint8 (N, H, W, 3), or a sequence of pictures of any sizes.
        labels: A class for each of ``images``, or for each a sequence of labels.
        calibration: Its images calibrate, by their names in the data, in place of a drawn sample.
        output_model: A folder, or a ``.onnx`` file; None: a folder of the model's name under ``runs``.
        config: A configuration file; the other arguments win over it.
        overwrite: Replace an earlier run in the same place.
        skip_unreadable: Leave unreadable images out, and list them.
        criterion: ``none``: no baseline check and no verdict.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances; None: a bar in a notebook or a terminal, silence elsewhere.
        settings: Any setting of a configuration file, by its last name: ``data_path``, ``preset``, ``relative``, …

    Returns:
        The run: its figures, its files, its report, and the exit code of the command.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.idle_flags import given_names, refuse_idle_for_tune
    from quantize.public.given import calibration_list, model_file
    from quantize.public.images import with_images
    from quantize.public.result import TuneResult
    from quantize.run.request import TuneRequest
    from quantize.run.tune import tune as tune_model

    known = with_images(settings, images, labels)
    if calibration is not None:
        known["calibration_list"] = calibration_list(calibration)
    resolved = configured(config, known)
    refuse_idle_for_tune(given_names(known), resolved, resumes=False, replays=False, judges=criterion == "accuracy")
    request = TuneRequest(
        config=resolved,
        input_model=None if input_model is None else model_file(input_model),
        output_model=None if output_model is None else Path(output_model),
        overwrite=overwrite,
        skip_unreadable=skip_unreadable,
        criterion=criterion,
        workers=workers,
        command=("quantize.tune",),
    )
    with shown(progress) as told:
        result = tune_model(request, progress=told)
    return TuneResult(result.run, result.report, result.exit_code)
