"""Which of a benchmark's images calibrated its models."""

from __future__ import annotations

from quantize.commands.benchmark_subjects import BenchmarkRequest, Subjects
from quantize.data.crops.crops import Crops
from quantize.errors import ConfigError, DataError
from quantize.models.artifact import ModelArtifact
from quantize.prediction.preprocessing import preprocessing_in
from quantize.report.benchmark import CalibrationShare
from quantize.report.metadata import calibration_marks

_FLAG = "--calibration_images out"


def without_calibration(
    request: BenchmarkRequest, measured: Subjects, crops: Crops
) -> tuple[Crops, CalibrationShare | None]:
    """Return the images that accuracy is measured on, and how many of all calibrated the models, where files tell.

    Args:
        request: Whether those images count.
        measured: The models; their metadata hold the marks of the images.
        crops: All images.

    Raises:
        ConfigError: They are to be left out, and no model's file tells which they are.
        DataError: All images calibrated the models, and are to be left out.
    """
    leaves_out = request.calibration_images == "out"
    known = frozenset().union(*(_marks(model, crops) for model in measured.models.values()))
    if not known:
        if not leaves_out:
            return crops, None
        raise ConfigError(
            "no model's file tells which of these images calibrated it",
            where=_FLAG,
            expected="a model that `quantize tune` of this version or a later one wrote, and the crops that it saw",
            advice="tune it again, leave --preset and its parts out, or name a folder of other images",
        )
    others = [at for at, mark in enumerate(crops.marks) if mark not in known]
    share = CalibrationShare(images=len(crops), calibrated=len(crops) - len(others), left_out=leaves_out)
    if not leaves_out:
        return crops, share
    if not others:
        raise DataError(
            "all images calibrated the model", where=_FLAG, expected="other images", advice="name more images"
        )
    return crops.subset(others), share


def _marks(model: ModelArtifact, crops: Crops) -> frozenset[str]:
    """Return the marks in a model's file; none where its run cut the images otherwise."""
    proto = model.proto()
    cut = preprocessing_in(proto, where=str(model.path))
    comparable = cut is not None and cut.crop_fingerprint == crops.crop_fingerprint
    return calibration_marks(proto) if comparable else frozenset()
