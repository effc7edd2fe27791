from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.cli.main import main
from quantize.commands.package import package
from quantize.errors import DataError, ExitCode, RunError
from quantize.package.archive import read_archive, write_archive
from quantize.package.build import allowed_difference, licence_of
from quantize.package.card import model_card
from quantize.package.verify import verify_package
from quantize.provenance import sha256_bytes
from quantize.report.storage import read_report

if TYPE_CHECKING:
    from tests.conftest import ExactSession

pytestmark = pytest.mark.inc


@pytest.fixture(scope="module")
def packages(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return package(run, tmp_path_factory.mktemp("packages"))


def test_both_models_of_a_run_are_packed_and_found_whole(packages: tuple[Path, ...]) -> None:
    assert [path.name for path in packages] == ["colours-13-int8.tar.gz", "colours-13-qdq.tar.gz"]
    for path in packages:
        package = verify_package(path)
        assert package.answers
        assert (package.exact, package.same_isa) == (True, True)
        assert f"{package.name}.tar.gz" == path.name
        assert {"model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb", "README.md"} <= set(
            package.files
        )


def test_the_same_run_gives_the_same_bytes(run: Path, packages: tuple[Path, ...], tmp_path: Path) -> None:
    again = package(run / "report.json", tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packages]


def test_packages_are_not_written_over(run: Path, packages: tuple[Path, ...]) -> None:
    with pytest.raises(RunError, match="something already"):
        package(run, packages[0].parent)
    assert package(run, packages[0].parent, overwrite=True) == packages


def test_the_sample_is_what_any_runtime_takes(
    packages: tuple[Path, ...], tmp_path: Path, exact_session: ExactSession
) -> None:
    _, files = read_archive(packages[0])
    (tmp_path / "model.onnx").write_bytes(files["model.onnx"])
    given, expected = TensorProto(), TensorProto()
    given.ParseFromString(files["test_data_set_0/input_0.pb"])
    expected.ParseFromString(files["test_data_set_0/output_0.pb"])
    session = exact_session(tmp_path / "model.onnx")
    (scores,) = session.run([expected.name], {given.name: numpy_helper.to_array(given)})
    np.testing.assert_allclose(scores, numpy_helper.to_array(expected), atol=1e-4)


def test_a_changed_model_is_not_packed(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    model = copy / "colours-13-int8.onnx"
    model.write_bytes(model.read_bytes() + b"\x00")
    with pytest.raises(RunError, match="not the one of the report"):
        package(copy)
    model.unlink()
    with pytest.raises(RunError, match="no such file"):
        package(copy)
    assert not (copy / "package").exists()


def test_changed_missing_and_extra_files_are_found(packages: tuple[Path, ...], tmp_path: Path) -> None:
    name, files = read_archive(packages[0])
    cases = {
        "README.md is another file": {**files, "README.md": b"Trust me."},
        "no test_data_set_0/output_0.pb": {k: v for k, v in files.items() if k != "test_data_set_0/output_0.pb"},
        "run.sh is another file": {**files, "run.sh": b"rm -rf ~"},
        "provenance.json": {**files, "provenance.json": b"[" * 100_000},
        "format 1": {**files, "provenance.json": b"{}"},
    }
    for said, changed in cases.items():
        write_archive(tmp_path / "a.tar.gz", name, changed)
        with pytest.raises(DataError, match=said):
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
    assert "ANOTHER ANSWER" in capsys.readouterr().out
    assert main(["package", "--check", str(packages[0])]) is ExitCode.DONE
    assert "whole" in capsys.readouterr().out


def test_a_package_of_before_is_held_to_what_its_machines_kernels_gave(
    packages: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, files = read_archive(packages[0])
    said = json.loads(files["provenance.json"])
    del said["exact"]
    said["isa"] = ["those of another CPU"]
    files["provenance.json"] = json.dumps(said).encode()
    write_archive(tmp_path / "a.tar.gz", name, files)
    package = verify_package(tmp_path / "a.tar.gz")
    assert (package.exact, package.same_isa) == (False, False)
    assert package.tolerance == allowed_difference(_packed(files), same_sums=False)
    main(["package", "--check", str(tmp_path / "a.tar.gz")])
    assert "on a CPU with other int8 instructions" in capsys.readouterr().out


def _packed(files: dict[str, bytes]) -> ModelProto:
    model: ModelProto = ModelProto.FromString(files["model.onnx"])
    return model


def test_the_command_packs_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", str(run), "--output", str(tmp_path)]) is ExitCode.DONE
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["package"]) is ExitCode.USER
    assert main(["package", str(tmp_path)]) is ExitCode.USER
    assert "not a run" in capsys.readouterr().err


def test_the_card_has_the_zoos_columns_and_sentence(run: Path) -> None:
    report = read_report(run / "report.json")
    card = model_card(report, "Colours 1.0", "Apache-2.0, as the fp32 model.")
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert rows[0] == (
        "|Model|Download|Download (with sample test data)|ONNX version|Opset version|Top-1 accuracy (%)"
        "|Top-5 accuracy (%)|"
    )
    assert [row.split("|")[1] for row in rows[2:]] == ["Colours 1.0", "Colours 1.0-int8", "Colours 1.0-qdq"]
    assert len({row.count("|") for row in rows}) == 1
    assert "|[0.00 MB](colours-13-int8.onnx)|[0.00 MB](colours-13-int8.tar.gz)|" in rows[3]
    assert "Compared with the fp32 Colours 1.0, Colours 1.0-int8's Top-1 accuracy drop ratio is 0.00 %" in card
    assert re.search(r"(performance improvement|speed) is \d", card)
    assert report.source.sha256 in card
    assert report.chosen.recipe_id in card
    assert "10 images, not among the 20 evaluation images" in card


def test_a_licence_is_known_given_or_said_to_be_unknown(tmp_path: Path) -> None:
    known = licence_of("Apache-2.0", None)
    assert known.text is not None
    assert "Apache License" in known.text
    (tmp_path / "terms.txt").write_text("Do as you like.")
    own = licence_of(None, tmp_path / "terms.txt")
    assert (own.text, own.sentence) == ("Do as you like.", "See the file LICENSE.")
    assert "Not known" in licence_of(None, None).sentence
    assert licence_of("MIT", None).sentence.startswith("MIT")
    with pytest.raises(RunError):
        licence_of(None, tmp_path / "none.txt")


def test_a_model_that_cannot_saturate_gives_the_samples_answer_on_every_cpu() -> None:
    def product(weight: int) -> ModelProto:
        constants = {
            "s": np.array(0.1, np.float32),
            "z": np.array(0, np.uint8),
            "w": np.full((2, 2), weight, np.int8),
            "wz": np.array(0, np.int8),
        }
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "s", "wz"], ["v"]),
            helper.make_node("MatMul", ["d", "v"], ["y"]),
        ]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
        tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
        return helper.make_model(helper.make_graph(nodes, "product", ends[:1], ends[1:], tensors))

    assert allowed_difference(product(127), same_sums=True) == 1e-4
    assert allowed_difference(product(127), same_sums=False) == 0.05
    assert allowed_difference(product(63), same_sums=False) == 1e-4
