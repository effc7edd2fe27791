"""Packages of a run, and what goes into them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quantize.cli.main import main
from quantize.commands.package import package
from quantize.errors import ExitCode, RunError
from quantize.packages.archive import read_archive
from quantize.packages.build import allowed_difference, licence_of

if TYPE_CHECKING:
    from tests.conftest import ExactSession

pytestmark = pytest.mark.inc


def test_the_same_run_gives_the_same_bytes(run: Path, packages: tuple[Path, ...], tmp_path: Path) -> None:
    again = package(run / "report.json", tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packages]


def test_packages_are_not_written_over(run: Path, packages: tuple[Path, ...]) -> None:
    with pytest.raises(RunError, match="already exists"):
        package(run, packages[0].parent)
    assert package(run, packages[0].parent, overwrite=True) == packages


def test_nothing_is_packed_through_a_link_out_of_a_strangers_run(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("package"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (copy / "package").symlink_to(elsewhere)
    with pytest.raises(RunError, match="leads out of it"):
        package(copy)
    assert list(elsewhere.iterdir()) == []
    assert len(package(copy, tmp_path / "named")) == 2


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


def test_the_command_packs_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", str(run), "--output", str(tmp_path)]) is ExitCode.DONE
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["package"]) is ExitCode.USER
    assert main(["package", str(tmp_path)]) is ExitCode.USER
    assert "not a run" in capsys.readouterr().err


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
