"""The calibration images of a run, as a model takes them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from quantize.cache_folder import user_cache
from quantize.config import RunConfig
from quantize.data.batches import Batches, CalibrationDataLoader
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import crop_images
from quantize.data.split import read_calibration_list, split
from quantize.errors import ConfigError
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.prediction.preprocessing import model_preprocessing
from quantize.progress import Progress, silent


def calibration_images(
    model: Path, config: RunConfig, batch_size: int = 1, *, workers: int | None = None, progress: Progress = silent
) -> CalibrationDataLoader:
    """Return the images that ``tune`` draws for calibration, in the type and layout that a model takes.

    Args:
        model: The fp32 model.
        config: Data, preprocessing, sample size and seed.
        batch_size: Images in a batch; a model of a fixed batch decides for itself.
        workers: Processes that decode images; None: one per core.
        progress: Called with the number of images decoded.

    Raises:
        ConfigError: No images are named, or no preprocessing.
        DataError: Images cannot be read, or are too few.
        ModelError: It is no classifier.
    """
    if config.data.path is None:
        raise ConfigError("no images are named", where="data_path", expected="a folder or archive of images")
    prove(model, Bounds.of(config.model), score_output=config.model.score_output)
    artifact = ModelArtifact.load(model, score_output=config.model.score_output)
    contract = artifact.contract
    listed = open_images(
        config.data.path, config.data.labels, classes=contract.classes, several=contract.may_have_several_labels
    )
    ids = [record.id for record in listed.records]
    names = config.data.calibration_list
    drawn = split(
        ids,
        calibration_size=config.quantization.calibration.sampling_size,
        in_evaluation=True,
        certification_share=0.0,
        seed=config.tuning.random_seed,
        calibration_ids=None if names is None else read_calibration_list(names, ids),
    )
    preprocessing, _ = model_preprocessing(artifact, config.preprocessing)
    crops = crop_images(
        listed.subset(drawn.calibration), preprocessing, user_cache() / "crops", workers=workers, progress=progress
    )
    batches = Batches(crops, preprocessing, contract.fixed_batch or batch_size)
    return CalibrationDataLoader(batches, input_name=contract.input.name, form=partial(in_form, contract))
