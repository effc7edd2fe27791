"""``quantize.inspect``, ``quantize.doctor`` and ``quantize.package``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quantize.commands.settings import PathLike, Settings, configured
from quantize.public.progress import shown
from quantize.public.runs import run_place

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.commands.inspection import Inspection
    from quantize.data.batches import CalibrationDataLoader
    from quantize.examination.findings import DoctorReport
    from quantize.progress import Progress
    from quantize.public.kinds import Labels, ModelLike, Pictures, RunLike


def inspect(model: ModelLike) -> Inspection:
    """Return what a model file is: format, operators, share of int8 arithmetic, and the run that it comes from.

    Example:
        >>> quantize.inspect("model.onnx").format
        'float'

    Args:
        model: fp32 or quantized, as a path, bytes of a file or a ModelProto.

    Raises:
        ModelError: It is no ONNX model, or damaged.
    """
    from quantize.commands.inspection import inspect_model
    from quantize.public.given import model_file

    return inspect_model(model_file(model))


def doctor(
    model: ModelLike,
    *,
    images: Pictures | None = None,
    labels: Labels | None = None,
    calibration: CalibrationDataLoader | None = None,
    config: PathLike | None = None,
    tried: int = 300,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> DoctorReport:
    """Examine model, images, labels and preprocessing before anything is tuned.

    Example:
        >>> report = quantize.doctor(
        ...     "model.onnx", data_path="images", label_path="labels.txt", preset="imagenet", sampling_size=10)
        >>> [finding.what for finding in report.problems]
        []

    Args:
        model: The fp32 model, as a path, bytes of a file or a ModelProto.
        images: Decoded pictures in place of ``data_path``: uint8 (N, H, W, 3), or a sequence of pictures.
        labels: A class for each of ``images``, or for each a sequence of labels.
        calibration: Its images calibrate, by their names in the data, in place of a drawn sample.
        config: A configuration file; the other arguments win over it.
        tried: How many images to try.
        workers: Processes that decode images; None: one a core.
        progress: Called as each long stage advances; None: a bar in a notebook or a terminal, silence elsewhere.
        settings: Any setting of a configuration file, by its last name.

    Raises:
        QuantizeError: Something is missing or cannot be read; its subclasses say what.
    """
    from quantize.commands.doctor import doctor as examine
    from quantize.public.given import calibration_list, model_file
    from quantize.public.images import with_images

    known = with_images(settings, images, labels)
    if calibration is not None:
        known["calibration_list"] = calibration_list(calibration)
    resolved = configured(config, known)
    with shown(progress) as told:
        return examine(model_file(model), resolved, tried=tried, workers=workers, progress=told)


def package(
    run: RunLike,
    *,
    output: PathLike | None = None,
    licence_file: PathLike | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Pack a run's models as the model zoo publishes them, and return the files.

    Example:
        >>> sorted(path.name for path in quantize.package("run"))
        ['model-13-int8.tar.gz', 'model-13-qdq.tar.gz']

    Args:
        run: The run's folder, its ``report.json``, or what ``tune`` returned.
        output: Folder for the packages; None: ``package`` in the run's folder.
        licence_file: Text of the fp32 model's licence; None: what the catalog knows.
        overwrite: Replace packages in the same place.

    Raises:
        RunError: There is no run, its models have changed, or packages are in the way.
    """
    from quantize.commands.package import package as package_run

    places = (None if place is None else Path(place) for place in (output, licence_file))
    return package_run(run_place(run), *places, overwrite=overwrite)
