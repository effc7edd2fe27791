"""Crops, normalized batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

from quantize.data.batch import Batch
from quantize.data.crops.crops import Crops
from quantize.data.preprocessing import Preprocessing


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

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.crops) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches, in the order of the crops."""
        crops = self.crops
        for start in range(0, len(crops), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield Batch(
                ids=crops.ids[part],
                images=self.preprocessing.normalize(crops.array[part]),
                labels=None if crops.labels is None else crops.labels[part],
            )


def batches(crops: Crops, preprocessing: Preprocessing, batch_size: int) -> Batches:
    """Return the crops as batches of at most ``batch_size`` images (see ``Batches``)."""
    return Batches(crops, preprocessing, batch_size)
