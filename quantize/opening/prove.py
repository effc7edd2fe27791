"""Open a stranger's model in a process of its own, and tell in one message what it did there.

The code of onnx and onnxruntime cannot be trusted with a file from anywhere: a stride of 0 divides by zero, a function
that calls itself overflows the stack, a Range takes 13 GB, a Loop never ends. Every file that a command is given is
opened there first, in all the ways in which the command will; what came through may be opened here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto

from quantize.models.reading import sha256_of_model
from quantize.opening.bounds import Bounds, open_within
from quantize.opening.proof import Request, prove_model

_PROVEN: set[tuple[str, str, Request]] = set()


def prove(
    path: Path,
    bounds: Bounds = Bounds(),
    *,
    score_output: str | None = None,
    prepares: bool = False,
    form: Callable[[ModelProto], ModelProto | None] | None = None,
) -> None:
    """Open a stranger's model in all the ways in which this process is going to, in a process of its own.

    It is read, checked, its shapes are inferred, it is opened by onnxruntime and run on one image, and prepared where
    the command does that. What came through once is not proven again by this process while the file is the same.

    Args:
        path: Its file.
        bounds: Of that process.
        score_output: The output that holds the scores, where several could.
        prepares: Whether the command makes the clean form of the model, as tuning begins with.
        form: What it makes of the model before that, such as one without quantization; picklable. None, or what returns
            None: nothing.

    Raises:
        ModelError: The file is no ONNX model, it is damaged, or it did not stay within the bounds. What else could be
            wrong with it, the command says in its own way.
        ChildError: It is a good model, and preparing it failed: a bug.
    """
    request = Request(str(path), bounds, score_output, prepares, form)
    sha256 = sha256_of_model(path) if form is None else None
    known = None if sha256 is None else (str(path.resolve()), sha256, request)
    if known in _PROVEN:
        return
    answer = open_within(bounds, prove_model, request, path)
    if known is not None and answer["is_one_file"]:
        _PROVEN.add(known)
