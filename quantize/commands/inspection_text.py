"""What `quantize inspect` prints, drawn by the process that reads the file: this one need not load onnx for it."""

from __future__ import annotations

from pathlib import Path

from quantize.opening.bounds import Bounds, open_within
from quantize.processes.watch import Watch


def text_of_model(path: Path, bounds: Bounds) -> str:
    """Return what a model file is and says of itself, as text.

    Args:
        path: The file.
        bounds: Of the process that reads it.

    Raises:
        ModelError: It is no ONNX model, it is damaged, or it did not stay within the bounds.
    """
    text: str | None = open_within(bounds, _text, (str(path), bounds), path)
    if text is not None:
        return text
    from quantize.commands.inspection import inspect_model, inspection_text

    return inspection_text(inspect_model(path, bounds))


def _text(place: tuple[str, Bounds], watch: Watch) -> str | None:
    """Return the text; None where what opening the model takes is still to be measured, outside of this process."""
    from quantize.commands.inspection import inspect_here, inspection_text

    inspection = inspect_here(place, watch)
    return None if inspection.stored and inspection.input_type is not None else inspection_text(inspection)
