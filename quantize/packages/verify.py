"""Is a package complete, and does its model answer the sample as it did on the machine that made it?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from quantize.errors import DataError, ModelError
from quantize.files import scratch_folder
from quantize.measurement.machine.cpu import isa_flags
from quantize.models.artifact import ModelArtifact
from quantize.models.session import RUNTIME_ERRORS
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.packages.archive import read_archive
from quantize.packages.build import CARD, INPUT, MODEL, OUTPUT, PROVENANCE, allowed_difference, answer
from quantize.provenance import sha256_bytes


@dataclass(frozen=True)
class PackageCheck:
    """What a package holds, and how its model answers.

    Attributes:
        name: Its folder.
        files: Path to size in bytes.
        graph_sha256: The model's identity.
        largest_difference: Between the sample's output and the model's on this machine, as a fraction of the largest
            score where that exceeds 1.
        tolerance: What was allowed.
        exact: Whether the sample was computed without saturation, and here too: then every CPU gives the same.
        same_isa: Whether this CPU has the int8 instructions of the one that made the package.
    """

    name: str
    files: Mapping[str, int]
    graph_sha256: str
    largest_difference: float
    tolerance: float
    exact: bool
    same_isa: bool

    @property
    def answers(self) -> bool:
        """Whether the model gives the sample's output within the tolerance."""
        return self.largest_difference <= self.tolerance


def verify_package(path: Path, bounds: Bounds = Bounds()) -> PackageCheck:
    """Check a package's files against its provenance, and run its model on the sample; nothing is unpacked in place.

    Args:
        path: The archive.
        bounds: Of opening its model.

    Raises:
        DataError: The archive is refused (see ``read_archive``), or a file is missing, damaged or too much.
        ModelError: The model in it cannot be loaded.
    """
    name, files = read_archive(path)
    for needed in (MODEL, INPUT, OUTPUT, CARD, PROVENANCE):
        if needed not in files:
            raise _wrong(path, f"no {needed}", "what `quantize package` writes")
    said = _provenance(files[PROVENANCE], path)
    _check_hashes(said["files"], files, path)
    with scratch_folder("package") as scratch:
        place = scratch / MODEL
        place.write_bytes(files[MODEL])
        model = _model(place, path, bounds)
        if model.graph_sha256 != said["graph_sha256"]:
            raise _wrong(path, f"a model of graph sha256 {model.graph_sha256}", str(said["graph_sha256"]))
        given = _tensor(files[INPUT], INPUT, path, dtype=model.contract.input.dtype)
        expected = np.asarray(_tensor(files[OUTPUT], OUTPUT, path, dtype="float32"), np.float32)
        try:
            onnx.checker.check_model(model.proto(), full_check=True)
            exact = said.get("exact") is True  # packages before that key hold what their machine's kernels gave
            output = answer(model, given, exact=exact)
            same = tuple(said.get("isa", ())) == tuple(isa_flags() or ())
            allowed = allowed_difference(model.proto(), same_sums=exact or same)
        except (*RUNTIME_ERRORS, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise _wrong(
                path, f"{MODEL} does not run: {str(error).strip()}", "a model that takes the sample"
            ) from error
    if output.shape != expected.shape:
        raise _wrong(path, f"{OUTPUT} of shape {expected.shape}", f"shape {output.shape}, as the model gives")
    if not output.size:
        raise _wrong(path, f"{INPUT} without images", "one at least")
    return PackageCheck(
        name=name,
        files={inner: len(content) for inner, content in files.items()},
        graph_sha256=model.graph_sha256,
        largest_difference=_largest_difference(output, expected),
        tolerance=allowed,
        exact=exact,
        same_isa=same,
    )


def _model(place: Path, package: Path, bounds: Bounds) -> ModelArtifact:
    """Return the model that was unpacked at ``place``; what is wrong with it is told of the package, which stays."""
    try:
        prove(place, bounds)
        return ModelArtifact.load(place)
    except ModelError as error:
        raise ModelError(
            error.problem,
            where=str(package / MODEL) if error.where == str(place) else error.where,
            found=error.found,
            expected=error.expected,
            advice=error.advice,
        ) from error


def _largest_difference(output: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference as a fraction of the largest score; not a number where a score is none."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.abs(output - expected).max() / max(1.0, np.abs(expected).max()))


def _provenance(content: bytes, path: Path) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"{PROVENANCE}: {error}", "JSON") from error
    known = isinstance(said, dict) and said.get("format") == 1
    if not known or not isinstance(said.get("files"), dict) or not isinstance(said.get("graph_sha256"), str):
        raise _wrong(path, f"{PROVENANCE} of another form", "format 1, with files and graph_sha256")
    isa = said.get("isa", [])
    if not isinstance(isa, list) or not all(isinstance(name, str) for name in isa):
        raise _wrong(path, f"{PROVENANCE}: isa of another form", "a list of names of instruction sets")
    return dict(said)


def _check_hashes(said: Mapping[str, object], files: Mapping[str, bytes], path: Path) -> None:
    for name, content in files.items():
        if name != PROVENANCE and said.get(name) != sha256_bytes(content):
            raise _wrong(path, f"{name} is another file than {PROVENANCE} says", str(said.get(name, "no such file")))
    for name in said:
        if name not in files:
            raise _wrong(path, f"no {name}", f"the file that {PROVENANCE} names")


def _tensor(content: bytes, name: str, path: Path, *, dtype: str) -> NDArray[np.generic]:
    tensor = TensorProto()
    try:
        tensor.ParseFromString(content)
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ValueError("its data lie in another file")
        array = numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError, KeyError) as error:
        raise _wrong(path, f"{name}: {error}", "a tensor") from error
    if array.dtype != dtype:
        raise _wrong(path, f"{name} of type {array.dtype}", dtype)
    return np.asarray(array)


def _wrong(path: Path, found: str, expected: str) -> DataError:
    return DataError("not a whole package", where=str(path), found=found, expected=expected)
