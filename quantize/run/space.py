"""The disk space that a run needs, estimated before it writes anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.disk import free_bytes, place_advice, size_words
from quantize.engines.engine import engines_for
from quantize.errors import StorageError
from quantize.files import scratch_place
from quantize.run.preflight import Inputs
from quantize.run.request import RunRequest

_LOG = logging.getLogger("quantize")

_FLOAT = 4
_MODELS_LEAST = 2
"""Times the model's size that every run writes: the prepared model, a candidate, both files."""
_MODELS_USUAL = {"native": 11, "inc": 3, "ort": 4}
"""Times the model's size that runs on SqueezeNet and EfficientNet-Lite0 had in ``work`` at their end, crops aside."""
_MODELS_SCRATCH = 4
"""Times the model's size in the folder for temporary files: forms that are compared, and as onnxruntime writes them."""
_MARGIN = 1 << 20


@dataclass(frozen=True)
class Need:
    """What will be written to one place.

    Attributes:
        place: The folder.
        least: Bytes without which the run cannot end.
        usual: Bytes that such runs take.
    """

    place: Path
    least: int
    usual: int


def check_space(request: RunRequest, inputs: Inputs) -> None:
    """Refuse a run that its disks cannot hold, and warn of one that they may not hold.

    Raises:
        StorageError: There is certainly too little space.
    """
    for needs in _by_disk(run_needs(request, inputs)):
        free = free_bytes(needs[0].place)
        least, usual = sum(need.least for need in needs), sum(need.usual for need in needs)
        if free is None:
            continue
        place = needs[0].place
        if free < least:
            raise StorageError(
                "there is not enough disk space for this run",
                where=str(place),
                found=f"{size_words(free)} free",
                expected=f"at least {size_words(least)}; runs like this one take about {size_words(usual)}",
                advice=f"free some space there, or {place_advice(place)}",
            )
        if free < usual:
            _LOG.warning("%s: %s free; a run like this one takes about %s", place, size_words(free), size_words(usual))


def run_needs(request: RunRequest, inputs: Inputs) -> tuple[Need, ...]:
    """Return what a run will write to its folder, and to the one for temporary files."""
    engines = engines_for(request.config.tuning.engine)
    preprocessing, contract = inputs.preprocessing, inputs.source.contract
    pixels = preprocessing.side**2 * preprocessing.channels
    work = inputs.folder.work
    crops = len(inputs.listed) * pixels
    scores = len(inputs.listed) * contract.classes * _FLOAT
    calibration = request.config.quantization.calibration.sampling_size * pixels * _FLOAT
    batches = 0 if set(engines) == {"native"} else calibration
    data, model = crops + scores + batches + _MARGIN, inputs.source.bytes
    times = sum(_MODELS_USUAL.get(name, max(_MODELS_USUAL.values())) for name in engines)
    kept = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())  # a resumed run writes it no more
    least, usual = (max(_MARGIN, data + count * model - kept) for count in (_MODELS_LEAST, times))
    return (
        Need(inputs.folder.path, least, max(least, usual)),
        Need(scratch_place(), _MARGIN, _MARGIN + _MODELS_SCRATCH * model),
    )


def _by_disk(needs: Sequence[Need]) -> Iterator[list[Need]]:
    disks: dict[int, list[Need]] = {}
    for need in needs:
        nearest = next(place for place in (need.place.absolute(), *need.place.absolute().parents) if place.exists())
        disks.setdefault(nearest.stat().st_dev, []).append(need)
    yield from disks.values()
