"""Crops as normalized batches, in the two shapes that quantizers ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.cache_folder import user_cache
from quantize.data.containers.registry import open_images
from quantize.data.crops.crops import Crops, crop_images
from quantize.data.preprocessing import Preprocessing, choose_preprocessing
from quantize.data.split import split


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images as the model takes them.

    Attributes:
        ids: The images' names; every prediction leads back to a file.
        images: (N, C, H, W) float32, normalized, contiguous.
        labels: As in ``Crops``, or None if the data has no labels.
    """

    ids: tuple[str, ...]
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[Any] | None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)


class Batches:
    """The crops as normalized batches; every iteration starts anew, and only one batch is in memory.

    An image's numbers do not depend on the batch size.

    Args:
        crops: The images.
        preprocessing: Whose normalization is applied; its sizes are the crops'.
        batch_size: Images in a batch; the last one holds what is left.

    Raises:
        ValueError: The crops were made by another preprocessing, or the batch size is below 1.
    """

    def __init__(self, crops: Crops, preprocessing: Preprocessing, batch_size: int) -> None:
        if crops.crop_fingerprint != preprocessing.crop_fingerprint:
            raise ValueError("these crops were made by another preprocessing")
        if batch_size < 1:
            raise ValueError(f"a batch of {batch_size} images")
        self.crops = crops
        self.preprocessing = preprocessing
        self.batch_size = batch_size

    @classmethod
    def few(cls, crops: Crops, preprocessing: Preprocessing, batch_size: int, *, most: int) -> Batches:
        """Return the first images in whole batches, at most ``most`` or one batch.

        A batch that is larger than the images there are is filled with them over and over.
        """
        count = max(min(most, len(crops)) // batch_size, 1) * batch_size
        return cls(crops.subset([at % len(crops) for at in range(count)]), preprocessing, batch_size)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.crops) // self.batch_size)

    def __getitem__(self, at: int) -> Batch:
        """Return one batch; any thread may ask for one.

        Raises:
            IndexError: There are not so many.
        """
        if not 0 <= at < len(self):
            raise IndexError(f"batch {at} of {len(self)}")
        crops, part = self.crops, slice(at * self.batch_size, (at + 1) * self.batch_size)
        return Batch(
            ids=crops.ids[part],
            images=self.preprocessing.normalize(crops.array[part]),
            labels=None if crops.labels is None else crops.labels[part],
        )

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches, in the order of the crops."""
        return map(self.__getitem__, range(len(self)))


Images = npt.NDArray[np.float32]
Labels = npt.NDArray[Any]


class CalibrationDataLoader:
    """A calibration set for Neural Compressor (iterates ``(input, label)``) and onnxruntime (``get_next``).

    Inputs are (N, C, H, W) float32, or as ``form`` makes them; labels (N,) int64, or None if the data has none. Every
    iteration starts anew; ``get_next`` has a place of its own, which ``rewind`` sets back.

    Attributes:
        batch_size: Images in a batch.

    Args:
        calibration: The batches.
        input_name: The model's input, which ``get_next`` names.
        form: Brings a batch into the type and layout that the model takes; None: it stays as it is.
    """

    def __init__(
        self, calibration: Batches, *, input_name: str, form: Callable[[Images], npt.NDArray[Any]] | None = None
    ) -> None:
        self.batch_size = calibration.batch_size
        self._form = form
        self._batches = calibration
        self._input_name = input_name
        self._next: Iterator[Batch] = iter(calibration)

    @classmethod
    def open(
        cls,
        data_path: str | Path,
        label_path: str | Path | None = None,
        *,
        preprocessing: str | Preprocessing,
        input_name: str,
        input_size: int | None = None,
        sampling_size: int = 100,
        seed: int = 0,
        batch_size: int = 1,
        calibration_cache: str | Path | None = None,
    ) -> CalibrationDataLoader:
        """Draw a calibration set from a data set and decode it.

        Args:
            data_path: Images, as for ``--data_path``.
            label_path: Labels, as for ``--label_path``.
            preprocessing: A preset's name, or the preprocessing.
            input_name: The model's input.
            input_size: Pixels of the model's input, or None for the usual 224.
            sampling_size: How many images.
            seed: Of the draw.
            batch_size: Images in a batch.
            calibration_cache: Folder for the decoded crops, or None for the user's cache.

        Raises:
            DataError: Images or labels are missing or wrong.
            ConfigError: The preset is not known, a size does not fit, or there are too few images.
        """
        images = open_images(Path(data_path), None if label_path is None else Path(label_path), classes=None)
        chosen = choose_preprocessing({"preset": preprocessing}) if isinstance(preprocessing, str) else preprocessing
        sized = chosen.for_input_size(input_size, input_size)
        drawn = split(
            [record.id for record in images.records],
            calibration_size=sampling_size,
            in_evaluation=True,
            certification_share=0.0,
            seed=seed,
        )
        cache = user_cache() if calibration_cache is None else Path(calibration_cache)
        crops = crop_images(images.subset(drawn.calibration), sized, cache)
        return cls(Batches(crops, sized, batch_size), input_name=input_name)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the images' names, in their order."""
        return tuple(self._batches.crops.ids)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[npt.NDArray[Any], Labels | None]]:
        """Yield (input, label) for each batch."""
        for batch in self._batches:
            yield self._formed(batch), batch.labels

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the next batch by the input's name, or None after the last: onnxruntime's CalibrationDataReader."""
        batch = next(self._next, None)
        return None if batch is None else {self._input_name: self._formed(batch)}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Let ``get_next`` give some of the batches: onnxruntime asks for it where it calibrates in strides.

        Args:
            start_index: The first batch.
            end_index: The one behind the last.
        """
        self._next = islice(iter(self._batches), start_index, end_index)

    def rewind(self) -> None:
        """Let ``get_next`` begin again."""
        self._next = iter(self._batches)

    def _formed(self, batch: Batch) -> npt.NDArray[Any]:
        return batch.images if self._form is None else self._form(batch.images)
