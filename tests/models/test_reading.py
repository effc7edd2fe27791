from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import set_external_data

from quantize.errors import ModelError
from quantize.models.prepare import prepare
from quantize.models.reading import LARGEST_BYTES, read_model, sha256_of_model
from quantize.provenance import sha256_bytes

Classifier = Callable[..., ModelProto]


def with_external_weights(model: ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save_model(
        model, path, save_as_external_data=True, all_tensors_to_one_file=True, location="weights.bin", size_threshold=0
    )
    return path


def pointing_to(model: ModelProto, location: str, folder: Path, *, length: int = 432) -> Path:
    tensor = model.graph.initializer[0]
    set_external_data(tensor, location, offset=0, length=length)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as refusal:
        read_model(path)
    assert str(path) in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4952222\n", "Git LFS pointer"),
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        (b"\x20\x00\x00\x00ORTM", "onnxruntime's own format"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\0" * 257 + b"ustar", "tar archive"),
        (b"\x80\x02}q", "pickle"),
        (b"<!DOCTYPE html>", "HTML"),
        (b'{"error": 404}', "JSON"),
        (b"not a model at all", "not an ONNX model"),
    ],
)
def test_a_file_of_another_kind_is_named_as_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    assert reason in refused(path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_model_is_named_as_such(classifier: Classifier, tmp_path: Path, share: float) -> None:
    content = classifier().SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: int(len(content) * share)])

    assert "truncated" in refused(path)


def test_a_missing_file_and_a_folder_are_no_models(tmp_path: Path) -> None:
    assert "file not found" in refused(tmp_path / "model.onnx")
    assert "a folder" in refused(tmp_path)


def test_external_weights_next_to_the_model_are_loaded(classifier: Classifier, tmp_path: Path) -> None:
    model = classifier()
    read = read_model(with_external_weights(ModelProto.FromString(model.SerializeToString()), tmp_path))

    assert read.SerializeToString() == model.SerializeToString()


def test_missing_external_weights_are_named(classifier: Classifier, tmp_path: Path) -> None:
    path = with_external_weights(classifier(), tmp_path)
    (tmp_path / "weights.bin").unlink()

    assert "weights.bin" in refused(path)


def test_external_weights_cut_short_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    path = with_external_weights(classifier(), tmp_path)
    os.truncate(tmp_path / "weights.bin", 100)

    assert "cut short" in refused(path)


@pytest.mark.parametrize("location", ["../weights.bin", "data/../../weights.bin", ""])
def test_external_weights_outside_the_models_folder_are_refused(
    classifier: Classifier, tmp_path: Path, location: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(np.zeros(108, np.float32).tobytes())

    assert "leaves the model's folder" in refused(pointing_to(classifier(), location, folder))


def test_external_weights_at_an_absolute_place_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(np.zeros(108, np.float32).tobytes())

    assert "leaves the model's folder" in refused(pointing_to(classifier(), str(weights), tmp_path))


def test_a_link_that_leaves_the_models_folder_is_refused(classifier: Classifier, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(np.zeros(108, np.float32).tobytes())
    (folder / "weights.bin").symlink_to(tmp_path / "weights.bin")

    assert "leaves the model's folder" in refused(pointing_to(classifier(), "weights.bin", folder))


def test_a_file_over_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.touch()
    os.truncate(path, LARGEST_BYTES + 1)

    assert "too large" in refused(path)


def test_external_weights_over_two_gigabytes_are_refused_unread(classifier: Classifier, tmp_path: Path) -> None:
    path = pointing_to(classifier(), "weights.bin", tmp_path, length=LARGEST_BYTES)
    (tmp_path / "weights.bin").touch()
    os.truncate(tmp_path / "weights.bin", LARGEST_BYTES)

    assert "too large" in refused(path)


@pytest.mark.parametrize(("name", "size"), [("BFLOAT16", 2), ("FLOAT8E4M3FN", 1), ("FLOAT16", 2), ("DOUBLE", 8)])
def test_weights_of_any_width_are_as_long_as_their_type_says(
    classifier: Classifier, tmp_path: Path, name: str, size: int
) -> None:
    model, path = classifier(), tmp_path / "model.onnx"
    kind = TensorProto.DataType.Value(name)
    model.graph.initializer.append(TensorProto(name="w", data_type=kind, dims=[3, 5], raw_data=bytes(15 * size)))
    onnx.save(model, path)
    assert read_model(path) == model

    model.graph.initializer[-1].raw_data += b"0"
    onnx.save(model, path)
    assert "damaged" in refused(path)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), removed=st.integers(0, 4))
def test_a_damaged_model_is_refused_or_taken_but_no_bug(
    classifier: Classifier, tmp_path: Path, place: float, byte: int, removed: int
) -> None:
    content = bytearray(classifier().SerializeToString())
    position = int(place * len(content))
    content[position : position + removed] = bytes([byte])
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with contextlib.suppress(ModelError):
        assert prepare(path, tmp_path / "prepared.onnx").contract.classes > 1


def test_a_file_larger_than_any_model_is_not_read_to_be_hashed(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    path.write_bytes(b"a")
    assert sha256_of_model(path) == sha256_bytes(b"a")
    os.truncate(path, LARGEST_BYTES + 1)
    assert sha256_of_model(path) is None
    assert sha256_of_model(tmp_path) is None
