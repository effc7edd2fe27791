"""The preprocessing that a model file carries."""

from __future__ import annotations

from onnx import ModelProto
from pydantic import ValidationError

from quantize.data.preprocessing import Preprocessing
from quantize.errors import ModelError
from quantize.report.metadata import PREFIX, read_facts

INPUT_CONTRACT = f"{PREFIX}input_contract"
"""Key of what the model takes where the normalization was folded into its first Conv."""
PREPROCESSING = f"{PREFIX}preprocessing"
"""Key of the JSON of a ``Preprocessing``, sizes decided."""


def input_contract_in(model: ModelProto) -> str | None:
    """Return the input contract that was folded into a model, or None where its input is as it was."""
    return read_facts(model).get(INPUT_CONTRACT)


def preprocessing_in(model: ModelProto, *, where: str) -> Preprocessing | None:
    """Return the preprocessing that a model carries, or None where it carries none.

    Args:
        model: The model.
        where: Its name in errors.

    Raises:
        ModelError: What it carries is no preprocessing.
    """
    text = read_facts(model).get(PREPROCESSING)
    if text is None:
        return None
    try:
        return Preprocessing.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            "the preprocessing in the model's metadata is damaged",
            where=where,
            found=f"{PREPROCESSING}: {text[:80]}",
            expected="the JSON that a run writes",
            advice="say --preset with the preprocessing that the model was trained with",
        ) from error
