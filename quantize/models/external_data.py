"""Weights kept in files beside the model: loaded only from the model's own folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from onnx import ModelProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from quantize.errors import ModelError
from quantize.graph.nodes import all_tensors


def load_external_data(model: ModelProto, path: Path, room: int) -> None:
    """Load the tensors that lie in other files into the model.

    Args:
        model: Changed in place; nothing is done where it has no external data.
        path: The model's file.
        room: Bytes that the external data may have in all.

    Raises:
        ModelError: A file is missing, too short or outside the model's folder, or there is too much data.
    """
    tensors = [tensor for tensor in all_tensors(model.graph) if uses_external_data(tensor)]
    places = [(tensor, ExternalDataInfo(tensor)) for tensor in tensors]
    files = {info.location: _inside(path, info.location) for _, info in places}
    needed = sum(info.length or files[info.location].stat().st_size for _, info in places)
    if needed > room:
        raise ModelError(
            "the model is too large to be quantized into one file",
            where=str(path),
            found=f"{needed:,} bytes of external data",
            expected=f"at most {room:,} bytes: protocol buffers hold 2 GB",
        )
    for tensor, info in places:
        _load(tensor, info, files[info.location], path)


def _inside(path: Path, location: str) -> Path:
    folder = path.parent.resolve()
    target = (folder / location).resolve()
    if not location or PurePosixPath(location).is_absolute() or not target.is_relative_to(folder):
        raise ModelError(
            "the model's external data leaves the model's folder",
            where=str(path),
            found=f"location {location!r}",
            expected=f"a file in {folder}",
            advice="save the model again with its data beside it, or copy a linked file into the folder",
        )
    if not target.is_file():
        raise ModelError(
            "the model's external data is missing",
            where=str(path),
            found=f"no file {location!r} beside the model",
            expected="the data files that belong to the model, in its folder",
            advice="copy them there, or save the model as one file",
        )
    return target


def _load(tensor: TensorProto, info: ExternalDataInfo, file: Path, path: Path) -> None:
    with file.open("rb") as stream:
        stream.seek(info.offset or 0)
        content = stream.read(info.length) if info.length else stream.read()
    if info.length and len(content) != info.length:
        raise ModelError(
            f"the external data of {tensor.name!r} is cut short",
            where=f"{path}, data file {info.location!r}",
            found=f"{len(content):,} bytes",
            expected=f"{info.length:,} bytes from offset {info.offset or 0:,}",
            advice="copy or download the data file again",
        )
    tensor.raw_data = content
    tensor.ClearField("data_location")
    del tensor.external_data[:]
