"""A request with every path decided: the user's, the configuration's or the demonstration's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantize.data.cache_folder import user_cache
from quantize.data.demonstration import demonstration_data
from quantize.errors import ConfigError, RunError
from quantize.models.download.fetch import fetch
from quantize.progress import Progress
from quantize.run.folder import RunFolder, demonstration_folder
from quantize.run.request import TuneRequest

DEMONSTRATION_MODEL = "squeezenet1.0-12"


@dataclass(frozen=True)
class Asked:
    """A request with every path decided.

    Attributes:
        request: What was asked.
        model: The fp32 model's file.
        data: The images.
        labels: Their labels, or None.
        calibration_list: Names of the calibration images, or None: drawn.
        output: The folder or ``.onnx`` file that was named, or the default.
        demonstration_data: Whether the images are the packaged photographs.
    """

    request: TuneRequest
    model: Path
    data: Path
    labels: Path | None
    calibration_list: Path | None
    output: Path
    demonstration_data: bool

    @property
    def asks_accuracy(self) -> bool:
        """Return whether the models' accuracy is to be judged."""
        return self.request.criterion == "accuracy"


def decide(request: TuneRequest, progress: Progress) -> Asked:
    """Return the request with every path decided; what the demonstration needs is fetched.

    Raises:
        ConfigError: A model without images.
        DataError: The demonstration's photographs cannot be fetched.
        ModelError: The demonstration's model cannot be fetched.
    """
    settings = request.config.data
    data, labels = request.data_path or settings.path, request.label_path or settings.labels
    model = request.input_model
    if data is None and model is not None:
        raise ConfigError(
            "no images are named",
            where="--data_path",
            expected="a folder of images (calibration needs them), or data.path in the configuration",
            advice="say --data_path FOLDER --label_path FILE; without any argument, the demonstration runs",
        )
    calibration_list = settings.calibration_list
    demonstration = data is None
    if data is None:
        packaged = demonstration_data(user_cache(), progress=progress)
        data, labels, calibration_list = packaged.data_path, packaged.label_path, packaged.calibration_list
    if model is None:
        model = fetch(DEMONSTRATION_MODEL, progress=progress).path
    output = request.output_model
    if output is None:
        output = demonstration_folder(request.runs_dir) if demonstration else request.runs_dir / model.stem
    return Asked(request, model, data, labels, calibration_list, output, demonstration)


def refuse_to_write_over_the_input(run: RunFolder, model: Path) -> None:
    """Refuse an output that is the input's own file, whatever ``--overwrite`` says.

    Raises:
        RunError: They are the same file.
    """
    for output in run.models:
        if output.exists() and model.exists() and output.samefile(model):
            raise RunError(
                "the output would replace the input model",
                where=str(output),
                expected="another file or folder",
                advice="name another place with --output_model",
            )
