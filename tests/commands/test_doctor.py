"""Twelve mistakes planted in a correct set-up: doctor finds each, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from quantize.commands.doctor import doctor
from quantize.config import load_config
from quantize.examination.findings import DoctorReport, doctor_text
from quantize.examination.labels import devkit_order
from quantize.examination.trials import Predictions

pytestmark = pytest.mark.real

Examine = Callable[..., DoctorReport]


@pytest.fixture(scope="module")
def known() -> MutableMapping[tuple[str, str, str], Predictions]:
    """Reuse between tests what another test has tried."""
    return {}


@pytest.fixture
def examine(
    squeezenet: Path,
    shared: Path,
    tmp_path: Path,
    known: MutableMapping[tuple[str, str, str], Predictions],
    monkeypatch: pytest.MonkeyPatch,
) -> Examine:
    """Return the examination of SqueezeNet on 63 of the 500 images, with something changed, for a CPU with VNNI."""
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", "vnni")  # of any other, doctor has notes on each model

    def run(
        *,
        model: Path = squeezenet,
        labels: list[int] | None = None,
        images: int = 63,
        **settings: Any,
    ) -> DoctorReport:
        label_file = shared / "imagenet" / "val.txt"
        if labels is not None:
            names = [line.split()[0] for line in label_file.read_text().splitlines()]
            label_file = tmp_path / "labels.txt"
            label_file.write_text("".join(f"{n} {label}\n" for n, label in zip(names, labels, strict=True)))
        keys = {"data.path": str(shared / "imagenet" / "val"), "data.labels": str(label_file)}
        # Neural Compressor takes ten seconds to build its first model, and one set-up has it.
        keys["tuning.engine"] = "native"
        config = load_config(None, {**keys, **{key.replace("__", "."): value for key, value in settings.items()}})
        return doctor(model, config, tried=images, workers=1, known=known)

    return run


@pytest.fixture
def true_labels(shared: Path) -> list[int]:
    lines = (shared / "imagenet" / "val.txt").read_text().splitlines()
    return [int(line.split()[1]) for line in lines]


@pytest.fixture
def planted(squeezenet: Path, tmp_path: Path) -> Callable[[Callable[[ModelProto], None]], Path]:
    """Return what writes SqueezeNet with something changed."""

    def write(change: Callable[[ModelProto], None]) -> Path:
        model = onnx.load(squeezenet)
        change(model)
        onnx.save(model, tmp_path / "planted.onnx")
        return tmp_path / "planted.onnx"

    return write


def _only(report: DoctorReport, check: str) -> str:
    """Return the only finding as text, after asserting that it comes from this check and is complete."""
    assert [finding.check for finding in report.findings] == [check], doctor_text(report)
    assert [outcome.name for outcome in report.checks if outcome.outcome == "wrong"] == [check]
    (finding,) = report.findings
    assert finding.severity == "problem"
    assert finding.evidence
    assert finding.advice
    return f"{finding.what} {finding.sure} {finding.evidence} {finding.advice} {finding.command}"


@pytest.mark.parametrize("engine", ["native", "ort", "inc"])
def test_nothing_is_found_in_a_right_set_up(examine: Examine, engine: str) -> None:
    if engine == "inc":
        pytest.importorskip("neural_compressor")
    report = examine(tuning__engine=engine)
    assert report.findings == ()
    assert {check.outcome for check in report.checks} == {"right"}
    assert report.images == 63
    assert "No problems found" in doctor_text(report)


def test_a_right_set_up_has_notes_on_a_cpu_without_vnni(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", "avx2")
    report = examine()
    assert [(finding.check, finding.severity) for finding in report.findings] == [
        ("machine", "note"),
        ("saturation", "note"),
    ]
    assert {check.outcome for check in report.checks} == {"right"}
    assert "No problems found" in doctor_text(report)


def test_nothing_is_found_if_the_right_preset_is_named(examine: Examine) -> None:
    assert examine(preprocessing__preset="caffe").findings == ()


def test_a_wrong_channel_order_is_found(examine: Examine) -> None:
    finding = _only(examine(preprocessing__preset="caffe", preprocessing__channel_order="RGB"), "preprocessing")
    assert "channel_order RGB for BGR" in finding
    assert "--preset caffe" in finding
    assert "certain" in finding


def test_a_wrong_scale_is_found(examine: Examine) -> None:
    finding = _only(examine(preprocessing__preset="caffe", preprocessing__scale=1 / 255), "preprocessing")
    assert "scale 0.00392157 for 1" in finding


def test_a_mean_that_is_not_subtracted_is_found(examine: Examine) -> None:
    finding = _only(examine(preprocessing__preset="caffe", preprocessing__mean=[0, 0, 0]), "preprocessing")
    assert "mean 0,0,0 for 123.68,116.779,103.939" in finding


def test_a_crop_in_place_of_a_squash_is_found(examine: Examine) -> None:
    finding = _only(examine(preprocessing__preset="caffe", preprocessing__resize_mode="shorter"), "preprocessing")
    assert "resize_mode shorter for square" in finding


def test_a_squash_in_place_of_a_crop_is_found(examine: Examine, efficientnet: Path) -> None:
    settings: dict[str, Any] = {"preprocessing__preset": "efficientnet_lite", "preprocessing__resize_mode": "square"}
    finding = _only(examine(model=efficientnet, images=24, **settings), "preprocessing")
    assert "resize_mode square for shorter" in finding


def test_the_preset_that_the_zoo_documents_for_squeezenet_is_found_wrong(examine: Examine) -> None:
    assert "--preset caffe" in _only(examine(preprocessing__preset="imagenet"), "preprocessing")


def test_efficientnet_lite_is_known_to_need_values_from_minus_one_to_one(examine: Examine, efficientnet: Path) -> None:
    finding = _only(examine(model=efficientnet, images=24, preprocessing__preset="imagenet"), "preprocessing")
    assert "--preset efficientnet_lite" in finding
    assert "certain" in finding


def test_labels_off_by_one_are_found(examine: Examine, true_labels: list[int]) -> None:
    finding = _only(examine(labels=[label + 1 for label in true_labels]), "labels")
    assert "one too large" in finding
    assert "Subtract 1" in finding
    assert "one too small" in _only(examine(labels=[max(0, label - 1) for label in true_labels]), "labels")


def test_labels_in_the_devkits_order_are_found(examine: Examine, true_labels: list[int]) -> None:
    ids = {label: number for number, label in enumerate(devkit_order(), start=1)}
    finding = _only(examine(labels=[ids[label] for label in true_labels]), "labels")
    assert "devkit's order" in finding
    assert "--label_path" in finding


def test_a_double_softmax_is_found(examine: Examine, planted: Callable[[Callable[[ModelProto], None]], Path]) -> None:
    def again(model: ModelProto) -> None:
        output = model.graph.output[0].name
        model.graph.node.append(helper.make_node("Softmax", [output], ["twice"], name="again", axis=1))
        model.graph.output[0].name = "twice"

    finding = _only(examine(model=planted(again), images=30), "scores")
    assert "more than one softmax" in finding
    assert "again" in finding


def test_a_swapped_label_file_is_found(examine: Examine, true_labels: list[int]) -> None:
    others = np.random.default_rng(5).permutation(1000)[: len(true_labels)].tolist()
    finding = _only(examine(labels=others), "labels")
    assert "do not match these images" in finding
    assert "very likely" in finding


def test_labels_shifted_by_a_line_are_found(examine: Examine, true_labels: list[int]) -> None:
    finding = _only(examine(labels=[*true_labels[1:], true_labels[0]]), "labels")
    assert "one line after" in finding


def test_calibration_images_in_the_evaluation_set_are_found(examine: Examine, shared: Path, tmp_path: Path) -> None:
    finding = _only(examine(quantization__calibration__in_evaluation=True), "calibration images")
    assert "100 of 100" in finding
    folder = tmp_path / "images"
    folder.mkdir()
    lines = (shared / "imagenet" / "val.txt").read_text().splitlines()[:40]
    for line in lines:
        shutil.copy(shared / "imagenet" / "val" / line.split()[0], folder)
    first, label = lines[0].split()
    shutil.copy(folder / first, folder / "copy.JPEG")
    (tmp_path / "val.txt").write_text("\n".join([*lines, f"copy.JPEG {label}"]))
    (tmp_path / "calibration.txt").write_text(first)
    copied = examine(
        data__path=str(folder),
        data__labels=str(tmp_path / "val.txt"),
        data__calibration_list=str(tmp_path / "calibration.txt"),
    )
    assert "copy.JPEG" in _only(copied, "calibration images")


def test_a_quantized_input_is_found(examine: Examine, planted: Callable[[Callable[[ModelProto], None]], Path]) -> None:
    def quantize_scores(model: ModelProto) -> None:
        output = model.graph.output[0].name
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(1 / 255, np.float32), "s"),
                numpy_helper.from_array(np.array(0, np.uint8), "z"),
            ]
        )
        model.graph.node.append(helper.make_node("QuantizeLinear", [output, "s", "z"], ["q"]))
        model.graph.node.append(helper.make_node("DequantizeLinear", ["q", "s", "z"], ["dq"]))
        model.graph.output[0].name = "dq"

    finding = _only(examine(model=planted(quantize_scores), tuning__engine="inc"), "format")
    assert "cannot keep the grids" in finding
    assert "--requantize" in finding


def test_weights_that_are_no_numbers_are_found(
    examine: Examine, planted: Callable[[Callable[[ModelProto], None]], Path]
) -> None:
    def damage(model: ModelProto) -> None:
        tensor = model.graph.initializer[3]
        values = numpy_helper.to_array(tensor).copy()
        values.flat[:2] = np.nan
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    finding = _only(examine(model=planted(damage)), "weights")
    assert "(2 NaN of 16)" in finding


def test_a_saturating_layer_is_found(examine: Examine, planted: Callable[[Callable[[ModelProto], None]], Path]) -> None:
    def double_and_halve(model: ModelProto) -> None:
        """Double the image and halve it again: the same function, with products that add up."""
        image = model.graph.input[0].name
        doubled = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0).reshape(6, 3, 1, 1)
        halved = np.ascontiguousarray(doubled.transpose(1, 0, 2, 3)) / np.float32(2)
        constants = {"doubled": doubled, "up": np.full(6, 300), "halved": halved, "down": np.full(3, -300)}
        model.graph.initializer.extend(
            numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()
        )
        nodes = list(model.graph.node)
        for node in nodes:
            node.input[:] = ["again" if name == image else name for name in node.input]
        del model.graph.node[:]
        model.graph.node.append(helper.make_node("Conv", [image, "doubled", "up"], ["twice"], name="double"))
        model.graph.node.append(helper.make_node("Conv", ["twice", "halved", "down"], ["again"], name="halve"))
        model.graph.node.extend(nodes)

    model = planted(double_and_halve)
    settings: dict[str, Any] = {"model": model, "images": 30, "preprocessing__preset": "caffe"}
    report = examine(**settings, quantization__target="avx2")
    (finding,) = report.findings
    assert (finding.check, finding.severity, finding.command) == ("saturation", "note", "--target avx2")
    assert "7-bit weights are needed" in finding.what
    assert "halve" in finding.evidence
    assert "agrees with fp32's top-1 on" in finding.advice
    for_vnni = examine(**settings)
    assert for_vnni.findings == ()
    (line,) = (check.text for check in for_vnni.checks if check.name == "saturation")
    assert "without it, --target any is needed" in line
    assert "halve" in line
