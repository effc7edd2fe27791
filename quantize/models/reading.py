"""Read an ONNX file with its external data, and say what a file is when it is not ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto
from onnx.external_data_helper import uses_external_data

from quantize.errors import ModelError
from quantize.graph.nodes import all_nodes, all_tensors
from quantize.models.claims import refuse_false_claims
from quantize.provenance import sha256_file
from quantize.similar_names import did_you_mean


def load_external_data(
    model: ModelProto, path: Path, room: int, *, before_data: Callable[[int], None] = lambda _: None
) -> None:
    """Load the tensors that lie in other files into the model.

    Args:
        model: Changed in place; nothing is done where it has no external data.
        path: The model's file.
        room: Bytes that the external data may have in all.
        before_data: Called with the bytes of all of it, before any is loaded.

    Raises:
        ModelError: A file is missing, too short or outside the model's folder, there is too much data, or a place in a
            file is none.
    """
    tensors = [tensor for tensor in all_tensors(model.graph) if uses_external_data(tensor)]
    places = [(tensor, _place(tensor, path)) for tensor in tensors]
    files = {info.location: _inside(path, info.location) for _, info in places}
    needed = 0
    for _, info in places:
        there = max(0, files[info.location].stat().st_size - info.offset)
        needed += there if info.length is None else min(info.length, there)
    if needed > room:
        raise ModelError(
            "the model is too large to be quantized into one file",
            where=str(path),
            found=f"{needed:,} bytes of external data",
            expected=f"at most {room:,} bytes: protocol buffers hold 2 GB",
        )
    before_data(needed)
    for tensor, info in places:
        _load_tensor(tensor, info, files[info.location], path)


@dataclass(frozen=True)
class _Place:
    """Where a tensor's data lie: a file's name, the first byte, and how many; None: all up to the file's end."""

    location: str
    offset: int
    length: int | None


def _place(tensor: TensorProto, path: Path) -> _Place:
    said = {entry.key: entry.value for entry in tensor.external_data}
    numbers: dict[str, int | None] = {}
    for key in ("offset", "length"):
        text = said.get(key)
        if text is not None and not (text.isascii() and text.isdigit() and int(text) <= _LARGEST_PLACE):
            raise ModelError(
                "the model's external data has no place in its file",
                where=str(path),
                found=f"{key} {text!r} of {tensor.name!r}",
                expected="a number of bytes from 0 up",
                advice="save or export the model again",
            )
        numbers[key] = None if text is None else int(text)
    return _Place(said.get("location", ""), numbers["offset"] or 0, numbers["length"] or None)


def _inside(path: Path, location: str) -> Path:
    folder = path.parent.resolve()
    leaves = not location or "\0" in location or PurePosixPath(location).is_absolute()
    try:
        target = folder if leaves else (folder / location).resolve()
        is_file = target.is_file()
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        target, is_file = folder / "no such file", False
    if leaves or not target.is_relative_to(folder):
        raise ModelError(
            "the model's external data leaves the model's folder",
            where=str(path),
            found=f"location {location!r}",
            expected=f"a file in {folder}",
            advice="save the model again with its data beside it, or copy a linked file into the folder",
        )
    if not is_file:
        raise ModelError(
            "the model's external data is missing",
            where=str(path),
            found=f"no file {location!r} beside the model",
            expected="the data files that belong to the model, in its folder",
            advice="copy them there, or save the model as one file",
        )
    return target


def _load_tensor(tensor: TensorProto, info: _Place, file: Path, path: Path) -> None:
    with file.open("rb") as stream:
        # A file system refuses places beyond its largest file.
        stream.seek(min(info.offset, file.stat().st_size))
        content = stream.read() if info.length is None else stream.read(info.length)
    if info.length is not None and len(content) != info.length:
        raise ModelError(
            f"the external data of {tensor.name!r} is cut short",
            where=f"{path}, data file {info.location!r}",
            found=f"{len(content):,} bytes",
            expected=f"{info.length:,} bytes from offset {info.offset:,}",
            advice="copy or download the data file again",
        )
    tensor.raw_data = content
    tensor.ClearField("data_location")
    del tensor.external_data[:]


_LARGEST_PLACE = 2**63 - 1
LARGEST_BYTES = 2**31 - 1
"""A serialized protocol buffer holds at most 2 GiB less one byte."""

_LFS = b"version https://git-lfs.github.com/spec/"
_MAGICS = (
    (0, b"PK\x03\x04", "a zip archive (PyTorch and Keras save models so)", "export the model to ONNX"),
    (0, b"\x89HDF", "an HDF5 file (Keras saves models so)", "export the model to ONNX"),
    (4, b"TFL3", "a TensorFlow Lite model", "export the model to ONNX"),
    (4, b"ORTM", "a model in onnxruntime's own format", "give the ONNX file that it was made from"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it and give the .onnx file inside"),
    (257, b"ustar", "a tar archive", "unpack it and give the .onnx file inside"),
    (0, b"\x80", "a Python pickle (PyTorch saves models so)", "export the model to ONNX"),
    (0, b"<", "an HTML or XML page, as a server sends instead of a missing file", "download the file again"),
    (0, b"{", "a JSON text", "give the .onnx file"),
)


def read_model(path: Path, *, before_data: Callable[[int], None] = lambda _: None) -> ModelProto:
    """Return the model in an ONNX file, weights in external files loaded into it.

    Args:
        path: The file; its external data has to lie in the same folder or below.
        before_data: Called with the size of all of it in bytes, before external data is loaded.

    Raises:
        ModelError: There is no such file, it is no ONNX model, it is damaged, what it claims of itself cannot be (see
            ``refuse_false_claims``), it is larger than 2 GB with its external data, or the external data is missing or
            leaves the model's folder.
    """
    if not path.is_file():
        if path.is_dir():
            raise ModelError("not a model file", where=str(path), found="a folder", expected="an ONNX file")
        raise ModelError("file not found", where=str(path), expected="an ONNX file", advice=did_you_mean(path))
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise too_large(path, size)
    content = path.read_bytes()
    refuse_other_formats(content, str(path))
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise _unreadable(content, path) from error
    if (
        not model.HasField("graph")
        or not model.graph.output
        or not model.ir_version
        or not _names_are_text(model.graph)
    ):
        raise _unreadable(content, path)
    del content  # as large as the model
    load_external_data(model, path, LARGEST_BYTES - size, before_data=lambda data: before_data(size + data))
    refuse_false_claims(model, str(path))
    return model


def sha256_of_model(path: Path) -> str | None:
    """Return the SHA-256 of a model's file; None: there is no file, or one larger than any model, which is not read."""
    return sha256_file(path) if path.is_file() and path.stat().st_size <= LARGEST_BYTES else None


def refuse_other_formats(content: bytes, where: str) -> None:
    """Refuse bytes that are recognizably something else than an ONNX model, and say what.

    Raises:
        ModelError: The bytes are empty, a Git LFS pointer, or of another known format.
    """
    if not content:
        raise ModelError("the model file is empty", where=where, expected="an ONNX model", advice="fetch it again")
    if content.startswith(_LFS):
        raise ModelError(
            "this is a Git LFS pointer, not the model",
            where=where,
            found=f"a text of {len(content)} bytes that says where the model is kept",
            expected="an ONNX model",
            advice="run 'git lfs pull' in its repository, or download the file itself",
        )
    for offset, magic, name, advice in _MAGICS:
        if content[offset : offset + len(magic)] == magic:
            raise ModelError("this is not an ONNX model", where=where, found=name, advice=advice)


def too_large(path: Path, size: int) -> ModelError:
    """Return the error for a model whose weights do not fit into one ONNX file."""
    return ModelError(
        "the model is too large to be quantized into one file",
        where=str(path),
        found=f"{size:,} bytes with its external data",
        expected=f"at most {LARGEST_BYTES:,} bytes: protocol buffers hold no more",
    )


def _names_are_text(graph: GraphProto) -> bool:
    """Return whether all names are UTF-8: protocol buffers give bytes if they are not."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        dimensions = value.type.tensor_type.shape.dim
        if not all(isinstance(text, str) for text in (value.name, *(d.dim_param for d in dimensions))):
            return False
    for node in all_nodes(graph):
        texts = (node.op_type, node.domain, node.name, *node.input, *node.output, *(e.name for e in node.attribute))
        if not all(isinstance(text, str) for text in texts):
            return False
    return isinstance(graph.name, str) and all(isinstance(tensor.name, str) for tensor in all_tensors(graph))


def _unreadable(content: bytes, path: Path) -> ModelError:
    # Every exporter writes field 1, ir_version, first.
    begins_well = content[:1] == b"\x08"
    return ModelError(
        "the model is truncated or damaged" if begins_well else "this is not an ONNX model",
        where=str(path),
        found=f"{len(content):,} bytes that hold no whole ONNX model",
        expected="a whole ONNX file",
        advice="copy or download it again" if begins_well else "export the model to ONNX",
    )
