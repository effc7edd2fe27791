"""Second moments of layer inputs: they tell how a change of weights changes the layer's output.

For a layer ``y = W x`` the mean squared change of ``y`` under ``W -> W + D`` is ``trace(D E[x xT] DT)``. The matrix
``E[x xT]`` over sampled positions of some calibration images is all that local least squares needs. The moments of all
layers are as large as the model: they are kept in a file in the run's folder, and read layer by layer.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from quantize.calibration.store import UNREADABLE, path_of, refuse_packed, write_arrays


@dataclass(frozen=True, eq=False)
class SecondMoments:
    """Moments of the inputs ``x`` of one layer over the sampled positions, by group.

    Attributes:
        products: float32 (groups, inputs, inputs), ``E[x xT]``.
        means: float32 (groups, inputs), ``E[x]``.
        samples: How many ``x`` they were taken over.
    """

    products: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]
    samples: int

    def merged(self, other: SecondMoments) -> SecondMoments:
        """Return the moments over the samples of both."""
        samples = self.samples + other.samples
        own, others = np.float32(self.samples / samples), np.float32(other.samples / samples)
        return SecondMoments(
            products=own * self.products + others * other.products,
            means=own * self.means + others * other.means,
            samples=samples,
        )

    def raw(self) -> npt.NDArray[np.float64]:
        """Return ``E[x xT]``."""
        return self.products.astype(np.float64)

    def central(self) -> npt.NDArray[np.float64]:
        """Return the covariance of ``x``: what remains when the bias takes up the mean of the change."""
        means = self.means.astype(np.float64)
        central = self.raw()
        central -= means[:, :, None] * means[:, None, :]
        return central


class StoredMoments(Mapping[str, SecondMoments]):
    """The second moments in a file, by node; each access reads them."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: There is none, or it cannot be read.
            EOFError, ValueError, zipfile.BadZipFile, …: It is damaged, see ``store.UNREADABLE``.
        """
        self._path = path
        with np.load(path, allow_pickle=False) as arrays:
            names = TypeAdapter(list[str]).validate_json(str(arrays["names"]))
            self._samples = [int(count) for count in arrays["samples"]]
        if len(self._samples) != len(names) or min(self._samples, default=1) < 1:
            raise ValueError("not as many samples as layers")
        self._places = {name: index for index, name in enumerate(names)}

    def __getitem__(self, node: str) -> SecondMoments:
        """Return the moments of a layer's inputs."""
        index = self._places[node]
        with np.load(self._path, allow_pickle=False) as arrays:
            return SecondMoments(arrays[f"products{index}"], arrays[f"means{index}"], self._samples[index])

    def __contains__(self, node: object) -> bool:
        """Return whether there are moments of a layer's inputs, without reading them."""
        return node in self._places

    def __iter__(self) -> Iterator[str]:
        """Yield the nodes."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._places)


class MergedMoments(Mapping[str, SecondMoments]):
    """The second moments over the samples of two collections with the same nodes; each access merges them."""

    def __init__(self, first: Mapping[str, SecondMoments], second: Mapping[str, SecondMoments]) -> None:
        """Set up for two collections."""
        self._first, self._second = first, second

    def __getitem__(self, node: str) -> SecondMoments:
        """Return the moments of a layer's inputs."""
        return self._first[node].merged(self._second[node])

    def __contains__(self, node: object) -> bool:
        """Return whether there are moments of a layer's inputs, without merging them."""
        return node in self._first

    def __iter__(self) -> Iterator[str]:
        """Yield the nodes."""
        return iter(self._first)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._first)


def refuse_other_forms(moments: SecondMoments) -> None:
    """Refuse arrays that are no second moments, as a file in a stranger's folder may hold.

    Raises:
        ValueError: They have other types or sizes, or are not finite.
    """
    products, means = moments.products, moments.means
    if not (
        products.dtype == means.dtype == np.float32
        and means.ndim == 2
        and products.shape == (*means.shape, means.shape[1])
        and np.isfinite(products).all()
        and np.isfinite(means).all()
    ):
        raise ValueError("no second moments")


def stored_moments(
    folder: Path, fingerprints: Mapping[str, str], collect: Callable[[], Iterable[tuple[str, SecondMoments]]]
) -> Mapping[str, SecondMoments]:
    """Return the second moments with these fingerprints, from their file if it exists.

    Args:
        folder: The run's work folder.
        fingerprints: What the moments come from: the model, the images, the preprocessing.
        collect: Called if there are none yet; what it gives, by node, is stored as it comes.
    """
    path = path_of(folder, "moments", fingerprints)
    try:
        refuse_packed(path)
        with zipfile.ZipFile(path) as archive:  # read once as a whole: each layer is read on demand
            damaged = archive.testzip()
        if damaged is None:
            stored = StoredMoments(path)
            for moments in stored.values():
                refuse_other_forms(moments)
            return stored
    except UNREADABLE:
        pass
    write_arrays(path, _arrays(collect()))
    return StoredMoments(path)


def _arrays(collected: Iterable[tuple[str, SecondMoments]]) -> Iterator[tuple[str, Any]]:
    names: list[str] = []
    samples: list[int] = []
    for index, (name, moments) in enumerate(collected):
        names.append(name)
        samples.append(moments.samples)
        yield f"products{index}", moments.products
        yield f"means{index}", moments.means
    yield "names", json.dumps(names)
    yield "samples", np.array(samples, np.int64)
