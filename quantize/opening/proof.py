"""What is done with a stranger's model in the process that may die of it: all that a command will do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx.checker
from onnx import ModelProto

from quantize.errors import ModelError, QuantizeError
from quantize.formats import quantized_format
from quantize.formats.exact import open_exact_session
from quantize.graph.shapes import inferred_shapes, inferred_types
from quantize.models.contract import ModelContract, model_contract
from quantize.models.equivalence import check_images
from quantize.models.input_form import filled, in_form
from quantize.models.prepare import clean_form
from quantize.models.reading import read_model
from quantize.models.score_tensor import score_tensors
from quantize.models.session import open_session
from quantize.opening.blame import WRONG, blamed
from quantize.opening.bounds import Bounds
from quantize.processes.watch import Watch

_NO_MEMORY = re.compile(r"bad.?alloc|[Ff]ailed to allocate|[Cc]ould not allocate|[Uu]nable to allocate")


@dataclass(frozen=True)
class Request:
    """A model to be proven; see ``prove``."""

    path: str
    bounds: Bounds
    score_output: str | None = None
    prepares: bool = False
    form: Callable[[ModelProto], ModelProto | None] | None = None


def prove_model(request: Request, watch: Watch) -> dict[str, Any]:
    """Do all of it; what a command tells by itself (no classifier, quantized already) is left to it.

    Raises:
        ModelError: The file cannot be read, or is damaged.
        Exception: Preparing a model that onnx finds valid and onnxruntime runs failed: a bug.
    """
    path = Path(request.path)
    sizes: list[int] = []

    def allow(size: int) -> None:
        sizes.append(size)
        watch.allow(request.bounds.memory_for(size))

    watch.stage("it was read")
    model = read_model(path, before_data=allow)
    with blamed(path):
        scores = _opened(model, request, watch, request.bounds.memory_for(max(sizes)))
        if request.prepares:
            watch.stage("it was prepared")
            with left_to_the_command():
                taken = None if request.form is None else request.form(model)
                del model  # it is read again: nothing holds it while copies of it are made
                clean_form(path, model=taken, opset=13, score_output=scores)
    return {"is_one_file": max(sizes) == path.stat().st_size}


def _opened(model: ModelProto, request: Request, watch: Watch, memory_bytes: int) -> str | None:
    """Open it in all ways but preparation; return the output that is taken for the scores, where several could be."""
    path = Path(request.path)
    watch.stage("onnx checked it")
    with left_to_the_command(*WRONG):
        onnx.checker.check_model(model, full_check=True)
    watch.stage("its shapes were inferred")
    contract: ModelContract | None = None
    scores = request.score_output
    with left_to_the_command():
        several = score_tensors(model)
        scores = several[0].name if scores is None and len(several) > 1 else scores  # one as good as another here
        contract = model_contract(model, where=str(path), score_output=scores)
    for infer in (inferred_shapes, inferred_types):
        with left_to_the_command():
            infer(model)
    if contract is not None:
        refuse_large_input(contract, str(path), memory_bytes)
    watch.stage("onnxruntime opened it and ran it on one image")
    with left_to_the_command(*WRONG):
        _run(open_session(path), contract)
    if quantized_format(model) != "float":
        with left_to_the_command(*WRONG):
            _run(open_exact_session(model, where=str(path)), contract)
    return scores


@contextmanager
def left_to_the_command(*kinds: type[Exception]) -> Iterator[None]:
    """Go on after what the command will come to as well, and say in its own way.

    Args:
        kinds: Errors besides those for the user.

    Raises:
        MemoryError: That was it, whatever it was called.
    """
    try:
        yield
    except Exception as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        if not isinstance(error, (QuantizeError, *kinds)):
            raise


def _run(session: Any, contract: ModelContract | None) -> None:
    if contract is None:
        return
    image = filled(in_form(contract, check_images(contract)[:1]), contract.fixed_batch or 1)
    session.run(None, {contract.input.name: image})


def refuse_large_input(contract: ModelContract, where: str, memory_bytes: int) -> None:
    """Refuse a model whose input alone would fill the memory.

    Raises:
        ModelError: It does.
    """
    sizes = [size for size in contract.input.shape if isinstance(size, int)]
    size = math.prod(sizes) * np.dtype(contract.input.dtype).itemsize
    if size > memory_bytes:
        raise ModelError(
            "the model's input does not fit into memory",
            where=where,
            found=f"{contract.input.name!r} of {'x'.join(map(str, contract.input.shape))}: {size:,} bytes",
            expected=f"at most {memory_bytes:,} bytes, 2 GB plus 6 times the model's size, or --max_memory",
            advice="export the model for smaller images, or for a smaller or any number of them at once",
        )
