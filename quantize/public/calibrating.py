"""``quantize.calibration_loader``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantize.commands.settings import PathLike, Settings, configured
from quantize.public.progress import shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quantize.data.batches import CalibrationDataLoader
    from quantize.progress import Progress
    from quantize.public.kinds import Labels, ModelLike, Pictures


def calibration_loader(
    model: ModelLike,
    *,
    images: Pictures | None = None,
    labels: Labels | None = None,
    config: PathLike | None = None,
    batch_size: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> CalibrationDataLoader:
    """Return the calibration images of ``tune``, as a model takes them: for onnxruntime's quantizer and others.

    Example:
        >>> reader = quantize.calibration_loader(
        ...     "model.onnx", data_path="images", preset="imagenet", sampling_size=10)
        >>> reader.get_next()["image"].shape
        (1, 3, 8, 8)

    Args:
        model: The fp32 model, as a path, bytes of a file or a ModelProto: its input's name, size, layout and type.
        images: Decoded pictures in place of ``data_path``: uint8 (N, H, W, 3), or a sequence of pictures.
        labels: A class for each of ``images``, or for each a sequence of labels.
        config: A configuration file; the other arguments win over it.
        batch_size: Images in a batch; a model of a fixed batch decides for itself.
        workers: Processes that decode images; None: one per core.
        progress: Called as images are decoded; None: a bar in a notebook or a terminal, silence elsewhere.
        settings: Any setting of a configuration file, by its last name: ``sampling_size``, ``random_seed``, …

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.calibration import calibration_images
    from quantize.public.given import model_file
    from quantize.public.images import with_images

    resolved = configured(config, with_images(settings, images, labels))
    with shown(progress) as told:
        return calibration_images(model_file(model), resolved, batch_size, workers=workers, progress=told)
