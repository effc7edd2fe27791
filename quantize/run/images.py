"""The images of a run: decoded, preprocessed as the model takes them, and divided into their parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantize.config.run_config import PreprocessingBlock
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.image_set import ImageSet
from quantize.data.labels.calibration_list import read_calibration_list
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.data.split import Split, split
from quantize.errors import ConfigError
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import CatalogEntry
from quantize.progress import Progress, silent

_CERTIFICATION_SHARE = 0.3
_CERTIFICATION_FROM = 5000


@dataclass(frozen=True)
class Images:
    """The decoded images of a run and how they are divided.

    Attributes:
        listed: The images as listed.
        crops: Every decoded image.
        split: Positions in ``crops`` of each part.
        preprocessing: How crops become the model's input.
    """

    listed: ImageSet
    crops: Crops
    split: Split
    preprocessing: Preprocessing

    @property
    def calibration(self) -> Crops:
        """Return the images that ranges are taken from."""
        return self.crops.subset(self.split.calibration)

    @property
    def evaluation(self) -> Crops:
        """Return the images that trials are evaluated on."""
        return self.crops.subset(self.split.evaluation)

    @property
    def certification(self) -> Crops | None:
        """Return the images that no trial sees, or None where none are kept."""
        return self.crops.subset(self.split.certification) if self.split.certification else None


def preprocessing_for(model: ModelArtifact, settings: PreprocessingBlock, entry: CatalogEntry | None) -> Preprocessing:
    """Return the preprocessing that is asked for, or the catalog's for known weights, sized for the model.

    Raises:
        ConfigError: Nothing is asked for and the weights are not known, or the sizes do not fit the model.
    """
    given = settings.given()
    if "preset" not in given and entry is not None and entry.preset is not None:
        given = {**entry.preprocessing, **given}
    if not given:
        raise ConfigError(
            "no preprocessing is named, and this model's weights are not known",
            where=str(model.path),
            expected=f"preprocessing.preset, one of: {', '.join(PRESETS)}",
            advice="say --preset with the one that the model was trained with; a wrong one costs nearly all accuracy",
        )
    height, width = model.contract.image_size or (None, None)
    return choose_preprocessing(given).for_input_size(height, width)


def load_images(
    listed: ImageSet,
    preprocessing: Preprocessing,
    cache: Path,
    *,
    calibration_size: int,
    in_evaluation: bool,
    certification: float | None,
    seed: int,
    calibration_list: Path | None,
    skip_unreadable: bool,
    workers: int | None,
    progress: Progress = silent,
) -> Images:
    """Decode every image once and divide them; ``certification`` None means 0.3 with 5,000 images or more, else 0."""
    crops = crop_images(
        listed,
        preprocessing,
        cache,
        workers=workers,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )
    calibration_ids = None
    if calibration_list is not None:
        skipped = [image.id for image in crops.skipped]
        calibration_ids = read_calibration_list(calibration_list, crops.ids, skipped=skipped)
    if certification is None:
        calibrating = calibration_size if calibration_ids is None else len(calibration_ids)
        left = len(crops) if in_evaluation else len(crops) - calibrating
        certification = _CERTIFICATION_SHARE if left >= _CERTIFICATION_FROM else 0.0
    parts = split(
        crops.ids,
        calibration_size=calibration_size,
        in_evaluation=in_evaluation,
        certification_share=certification,
        seed=seed,
        calibration_ids=calibration_ids,
    )
    return Images(listed, crops, parts, preprocessing)
