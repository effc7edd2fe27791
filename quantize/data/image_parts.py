"""The images of a run: decoded, preprocessed for the model and split into parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantize.data.crops.crops import Crops, crop_images
from quantize.data.image_set import ImageSet
from quantize.data.preprocessing import Preprocessing
from quantize.data.split import Split, read_calibration_list, split
from quantize.progress import Progress, silent

_CERTIFICATION_SHARE = 0.3


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
        """Return the images that no trial sees, or None if none are kept."""
        return self.crops.subset(self.split.certification) if self.split.certification else None


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
    certification_from: int = 5000,
    progress: Progress = silent,
) -> Images:
    """Decode every image once and divide them.

    Args:
        listed: The images.
        preprocessing: How they become the model's input.
        cache: Folder of decoded images.
        calibration_size: How many images ranges are taken from.
        in_evaluation: Whether these are evaluated too.
        certification: Share of the evaluation images that no trial sees; None: 0.3 with ``certification_from`` images
            or more, else 0.
        seed: Of the draw.
        calibration_list: File that names the calibration images; None: they are drawn.
        skip_unreadable: Leave unreadable images out.
        workers: Processes that decode; None: one a core.
        certification_from: Evaluation images from which some are kept from the trials.
        progress: Receives the images done.

    Raises:
        DataError: An image cannot be read, or there are too few.
    """
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
        certification = _CERTIFICATION_SHARE if left >= certification_from else 0.0
    parts = split(
        crops.ids,
        calibration_size=calibration_size,
        in_evaluation=in_evaluation,
        certification_share=certification,
        seed=seed,
        calibration_ids=calibration_ids,
    )
    return Images(listed, crops, parts, preprocessing)
