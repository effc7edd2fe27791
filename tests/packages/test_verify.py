"""Packages are verified: whole, changed, and from other CPUs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from quantize.cli.main import main
from quantize.errors import DataError, ExitCode, ModelError
from quantize.packages.archive import read_archive, write_archive
from quantize.packages.build import allowed_difference
from quantize.packages.verify import verify_package
from quantize.provenance import sha256_bytes

pytestmark = pytest.mark.inc


def test_both_packages_of_a_run_are_complete(packages: tuple[Path, ...]) -> None:
    assert [path.name for path in packages] == ["colours-13-int8.tar.gz", "colours-13-qdq.tar.gz"]
    for path in packages:
        verification = verify_package(path)
        assert verification.answers
        assert (verification.exact, verification.same_isa) == (True, True)
        assert f"{verification.name}.tar.gz" == path.name
        assert {"model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb", "README.md"} <= set(
            verification.files
        )


def test_changed_missing_and_extra_files_are_found(packages: tuple[Path, ...], tmp_path: Path) -> None:
    name, files = read_archive(packages[0])
    said = json.loads(files["provenance.json"])
    forms: tuple[object, ...] = (5, None, [{}], "avx2", {})
    cases = {
        "README.md is another file": {**files, "README.md": b"Trust me."},
        "no test_data_set_0/output_0.pb": {k: v for k, v in files.items() if k != "test_data_set_0/output_0.pb"},
        "run.sh is another file": {**files, "run.sh": b"rm -rf ~"},
        "provenance.json": {**files, "provenance.json": b"[" * 100_000},
        "format 1": {**files, "provenance.json": b"{}"},
        **{
            f"isa of another form{' ' * number}": {
                **files,
                "provenance.json": json.dumps({**said, "isa": isa}).encode(),
            }
            for number, isa in enumerate(forms)
        },
    }
    for words, changed in cases.items():
        write_archive(tmp_path / "a.tar.gz", name, changed)
        with pytest.raises(DataError, match=words.strip()):
            verify_package(tmp_path / "a.tar.gz")


def test_another_answer_is_not_met(
    packages: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, files = read_archive(packages[0])
    output = TensorProto()
    output.ParseFromString(files["test_data_set_0/output_0.pb"])
    other = numpy_helper.from_array(numpy_helper.to_array(output) + np.float32(0.3), output.name)
    files["test_data_set_0/output_0.pb"] = other.SerializeToString()
    said = json.loads(files["provenance.json"])
    said["files"]["test_data_set_0/output_0.pb"] = sha256_bytes(files["test_data_set_0/output_0.pb"])
    files["provenance.json"] = json.dumps(said).encode()
    write_archive(tmp_path / "a.tar.gz", name, files)
    assert main(["package", "--check", str(tmp_path / "a.tar.gz")]) is ExitCode.NOT_MET
    assert "the answer differs" in capsys.readouterr().out
    assert main(["package", "--check", str(packages[0])]) is ExitCode.DONE
    assert "intact" in capsys.readouterr().out


def test_an_earlier_package_is_compared_with_what_the_kernels_of_its_machine_gave(
    packages: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, files = read_archive(packages[0])
    said = json.loads(files["provenance.json"])
    del said["exact"]
    said["isa"] = ["those of another CPU"]
    files["provenance.json"] = json.dumps(said).encode()
    write_archive(tmp_path / "a.tar.gz", name, files)
    verification = verify_package(tmp_path / "a.tar.gz")
    assert (verification.exact, verification.same_isa) == (False, False)
    assert verification.tolerance == allowed_difference(_packed(files), same_sums=False)
    main(["package", "--check", str(tmp_path / "a.tar.gz")])
    assert "on a CPU with other int8 instructions" in capsys.readouterr().out


def _with(files: dict[str, bytes], name: str, content: bytes) -> dict[str, bytes]:
    said = json.loads(files["provenance.json"])
    said["files"][name] = sha256_bytes(content)
    return {**files, name: content, "provenance.json": json.dumps(said).encode()}


def test_a_damaged_model_is_told_of_the_package_and_not_of_where_it_was_unpacked(
    packages: tuple[Path, ...], tmp_path: Path
) -> None:
    name, files = read_archive(packages[0])
    write_archive(tmp_path / "a.tar.gz", name, _with(files, "model.onnx", b"\xff" * 100))
    with pytest.raises(ModelError, match="not an ONNX model") as caught:
        verify_package(tmp_path / "a.tar.gz")
    assert caught.value.where == str(tmp_path / "a.tar.gz" / "model.onnx")


def test_a_sample_of_no_images_is_no_sample(packages: tuple[Path, ...], tmp_path: Path) -> None:
    name, files = read_archive(packages[0])
    for place in ("test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb"):
        array = numpy_helper.to_array(TensorProto.FromString(files[place]))
        files = _with(files, place, numpy_helper.from_array(array[:0]).SerializeToString())
    write_archive(tmp_path / "a.tar.gz", name, files)
    with pytest.raises(DataError, match=r"input_0\.pb without images"):
        verify_package(tmp_path / "a.tar.gz")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("score", [np.inf, np.nan])
def test_a_score_that_is_no_number_is_another_answer(packages: tuple[Path, ...], tmp_path: Path, score: float) -> None:
    name, files = read_archive(packages[0])
    place = "test_data_set_0/output_0.pb"
    array = numpy_helper.to_array(TensorProto.FromString(files[place]))
    other = numpy_helper.from_array(np.full_like(array, score)).SerializeToString()
    write_archive(tmp_path / "a.tar.gz", name, _with(files, place, other))
    assert not verify_package(tmp_path / "a.tar.gz").answers


def _packed(files: dict[str, bytes]) -> ModelProto:
    model: ModelProto = ModelProto.FromString(files["model.onnx"])
    return model
