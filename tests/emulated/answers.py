"""What a CPU answers: each model of a folder on its inputs, in a plain session and in an exact one.

    python -m tests.emulated.answers FOLDER NAME

FOLDER, or a folder in it, holds MODEL.onnx with its inputs in MODEL.npz; the answers go to MODEL.NAME.npz.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.formats.exact import open_exact_session
from quantize.models.session import open_session

Kinds = dict[str, list[NDArray[Any]]]


def models(folder: Path) -> list[Path]:
    """Return the models of a folder and the folders in it, in order of their names."""
    return sorted(folder.rglob("*.onnx"))


def write_answers(folder: Path, name: str) -> None:
    """Run every model and write what it answers."""
    for model in models(folder):
        with np.load(model.with_suffix(".npz")) as inputs:
            feeds = {key: inputs[key] for key in inputs.files}
        sessions = {"plain": open_session(model), "exact": open_exact_session(model)}
        arrays = {
            f"{kind}{number}": output
            for kind, session in sessions.items()
            for number, output in enumerate(session.run(None, feeds))
        }
        np.savez(model.with_suffix(f".{name}.npz"), **arrays)


def read_answers(model: Path, name: str) -> Kinds:
    """Return the outputs of a model by kind of session, ``plain`` and ``exact``."""
    with np.load(model.with_suffix(f".{name}.npz")) as arrays:
        return {
            kind: [arrays[key] for key in sorted(arrays.files) if key.startswith(kind)] for kind in ("plain", "exact")
        }


def main(words: Sequence[str]) -> None:
    """Write the answers of this CPU."""
    folder, name = words
    write_answers(Path(folder), name)


if __name__ == "__main__":
    main(sys.argv[1:])
