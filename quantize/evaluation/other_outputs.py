"""How well a quantized model keeps the outputs that are not its scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from quantize.data.batches import Batch
from quantize.formats.exact import open_exact_session
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import filled, in_form


@dataclass(frozen=True)
class KeptOutput:
    """One output of a quantized model beside the fp32 model's.

    Attributes:
        name: The output.
        sqnr_decibel: Energy of fp32's values over that of the difference, in dB; None if they are equal, or no reals.
        equal: Share of the values that are the same.
    """

    name: str
    sqnr_decibel: float | None
    equal: float


def kept_outputs(fp32: ModelArtifact, quantized: ModelArtifact, batches: Iterable[Batch]) -> tuple[KeptOutput, ...]:
    """Return how near every output but the scores is to the fp32 model's, computed without saturation.

    Args:
        fp32: The model with all of its outputs.
        quantized: A model with the same outputs.
        batches: Images as both take them.
    """
    names = list(quantized.contract.others)
    if not names:
        return ()
    sessions = [(open_exact_session(model.path), model.contract) for model in (fp32, quantized)]
    signal, noise, equal, count = (np.zeros(len(names)) for _ in range(4))
    for batch in batches:
        ours, theirs = (
            session.run(
                names,
                {contract.input.name: filled(in_form(contract, batch.images), contract.fixed_batch or 0)},
            )
            for session, contract in sessions
        )
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            equal[index] += (a == b).sum()
            count[index] += a.size
            if np.issubdtype(a.dtype, np.floating):
                signal[index] += np.square(a, dtype=np.float64).sum()
                noise[index] += np.square(a.astype(np.float64) - b).sum()
    return tuple(
        KeptOutput(
            name=name,
            sqnr_decibel=10 * math.log10(signal[index] / noise[index]) if noise[index] > 0 < signal[index] else None,
            equal=float(equal[index] / max(count[index], 1)),
        )
        for index, name in enumerate(names)
    )
