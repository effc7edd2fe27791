"""Runs whose models take pixels, or floats as another preset normalizes them, and the use of such models."""

from __future__ import annotations

import dataclasses
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from quantize.commands.benchmark import benchmark
from quantize.commands.benchmark_subjects import BenchmarkRequest
from quantize.commands.inspection import inspect_model
from quantize.commands.package import package
from quantize.commands.predict import predict
from quantize.commands.verify import verify
from quantize.config import RunConfig, load_config
from quantize.config.run_config import PreprocessingBlock
from quantize.data.preprocessing import Preprocessing
from quantize.data.split import split
from quantize.errors import ConfigError, ExitCode, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.packages.verify import verify_package
from quantize.report.markdown import markdown
from quantize.rewrites.channel_affine import InputContract
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import SIDE, colours_of_caffe, top1_of
from tests.run.conftest import make_integers_fast

CASES = (("uint8-nhwc", "inc"), ("uint8-nchw", "native"), ("imagenet", "native"))
pytestmark = pytest.mark.inc


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANTIZE_CACHE", str(tmp_path_factory.mktemp("cache")))
        make_integers_fast(patch)
        yield


@pytest.fixture(scope="module")
def caffe_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the classifier of colours that takes what the preset caffe makes; its first Conv pads."""
    path = tmp_path_factory.mktemp("model") / "colours-13.onnx"
    onnx.save(colours_of_caffe(), path)
    return path


def _config(images: tuple[Path, Path], contract: str, engine: str) -> RunConfig:
    given = {
        "data.path": str(images[0]),
        "data.labels": str(images[1]),
        "preprocessing.preset": "caffe",
        "preprocessing.interpolation": "nearest",
        "quantization.calibration.sampling_size": 24,
        "evaluation.performance.iteration": 20,
        "evaluation.performance.max_seconds": 0.2,
        "tuning.speed_criterion.min_speedup": 0,
        "tuning.placement": "all-int8",
        "tuning.exit_policy.max_trials": 2,
        "tuning.engine": engine,
        "rewrites": "default",
        "input_contract": contract,
    }
    return load_config(None, given)


@pytest.fixture(scope="module", params=CASES, ids=[case[0] for case in CASES])
def run(
    request: pytest.FixtureRequest,
    caffe_model: Path,
    colour_images: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> TuneResult:
    contract, engine = request.param
    if engine == "inc":
        pytest.importorskip("neural_compressor")
    place = tmp_path_factory.mktemp(contract) / "out"
    config = _config(colour_images, contract, engine)
    return tune(TuneRequest(config, input_model=caffe_model, output_model=place, workers=1, pair_seconds=0.2))


def _contract(run: TuneResult) -> InputContract:
    section = run.report.input_contract
    assert section is not None
    return section.contract  # type: ignore[return-value]


def _given(contract: str, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Return the input that a server would prepare: pixels, or floats as in the preset imagenet."""
    if contract == "uint8-nhwc":
        return pixels
    first = pixels.transpose(0, 3, 1, 2)
    if contract == "uint8-nchw":
        return first
    mean, std = (np.array(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return np.asarray((first / 255 - mean) / std, np.float32)


def _file(run: TuneResult, role: str) -> Path:
    return run.run / run.report.model(role).file


@pytest.mark.parametrize("role", ["fp32", "int8", "qdq"])
def test_each_written_file_scores_what_the_contract_gives_it_as_reported(
    run: TuneResult, colour_images: tuple[Path, Path], role: str
) -> None:
    data, labels = colour_images
    names, truth = zip(*(line.split() for line in labels.read_text().splitlines()), strict=True)
    seen = split(names, calibration_size=24, in_evaluation=False, certification_share=0, seed=1978).evaluation
    pixels = np.stack([np.asarray(Image.open(data / names[at])) for at in seen])
    session = open_session(_file(run, role))
    (given,) = session.get_inputs()
    scores = session.run(None, {given.name: _given(_contract(run), pixels)})[0].reshape(len(seen), -1)
    right = scores.argmax(axis=1) == np.array([int(truth[at]) for at in seen])
    assert top1_of(run.report.model(role)) == right.mean() > 0.95


def test_the_declared_input_is_what_was_asked_for_in_all_three_files(run: TuneResult) -> None:
    contract = _contract(run)
    for role in ("fp32", "int8", "qdq"):
        artifact = ModelArtifact.load(_file(run, role))
        assert artifact.contract.input.dtype == ("float32" if contract == "imagenet" else "uint8")
        assert artifact.contract.input_layout == ("NHWC" if contract == "uint8-nhwc" else "NCHW")


@pytest.mark.parametrize("role", ["int8", "qdq"])
def test_pixels_are_not_quantized_again(run: TuneResult, role: str) -> None:
    graph = onnx.load(_file(run, role)).graph
    assert graph.input[0].name == "pixels"
    reached, readers = {"pixels"}, []
    for node in graph.node:
        if reached & set(node.input):
            readers.append(node.op_type)
            if node.op_type in ("Reshape", "Transpose", "Pad", "SpaceToDepth"):
                reached |= set(node.output)
    quantized = graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    in_float = "first" in run.report.chosen.recipe.float_nodes  # what is faster here, the native search decides
    assert ("QuantizeLinear" in readers) == (not quantized and not in_float)


def test_the_report_says_how_far_the_scores_moved_within_what_is_declared(run: TuneResult) -> None:
    section = run.report.input_contract
    assert section is not None
    assert 0 <= section.fp32_moved < 1e-5 < section.fp32_within
    assert 0 < section.int8_moved <= section.int8_within
    assert section.images == run.report.data.calibration == 24
    assert f"--input_contract {section.contract}" in markdown(run.report).replace("\\", "")
    page = (run.run / "report.html").read_text("utf-8")
    assert f'<span class="flag">--input_contract</span> {section.contract}' in page


def test_the_baseline_of_the_measurement_is_the_fp32_model_with_the_same_input(run: TuneResult) -> None:
    baseline = run.report.baseline
    assert baseline.file == f"colours-13-fp32-{_contract(run)}.onnx"
    assert run.report.measurement is not None
    assert run.report.measurement.plan.models["fp32"] == run.run / baseline.file
    assert baseline.sha256 == ModelArtifact.load(run.run / baseline.file).sha256


def test_a_run_is_repeated_bit_for_bit(run: TuneResult, tmp_path: Path) -> None:
    for role, repeat in (("int8", True), ("fp32", False)):
        verdicts = {line.name: line.verdict for line in verify(_file(run, role), repeat=repeat).lines}
        assert set(verdicts.values()) == {"pass"}, verdicts
        assert ("verify.repeat" in verdicts) == repeat
    config = load_config(run.run / "config.yaml", {})
    again = tune(TuneRequest(config, replay=run.run, output_model=tmp_path / "again", workers=1, pair_seconds=0.2))
    assert again.report.replay is not None
    assert again.report.replay.outcome == "same"
    assert again.report.baseline.graph_sha256 == run.report.baseline.graph_sha256


def test_an_earlier_fp32_file_is_not_written_over(
    run: TuneResult, caffe_model: Path, colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    contract = _contract(run)
    (tmp_path / f"colours-13-fp32-{contract}.onnx").write_text("mine")
    config = _config(colour_images, contract, "native")
    with pytest.raises(Exception, match="write over"):
        tune(TuneRequest(config, input_model=caffe_model, output_model=tmp_path, workers=1, pair_seconds=0.2))


def test_predict_feeds_a_model_as_its_file_says_and_its_fp32_original_as_asked(
    run: TuneResult, caffe_model: Path, colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\nyellow\ncyan\npink\n")
    images = [str(colour_images[0] / f"image{number:03d}.png") for number in range(6)]
    asking = partial(predict, _file(run, "int8"), images, class_names=names, top=1)
    assert [prediction.label for prediction in asking().predictions] == [0, 1, 2, 3, 4, 5]
    asked = PreprocessingBlock(preset="caffe", interpolation="nearest")
    compared = asking(compare=caffe_model, preprocessing=asked)
    assert compared.agreement == 1
    assert f"input contract '{_contract(run)}'" in compared.preprocessing
    with pytest.raises(ConfigError, match="nothing says which preprocessing"):
        asking(compare=caffe_model)


@pytest.mark.parametrize("original", [False, True])
def test_benchmark_feeds_each_model_as_its_file_says(
    run: TuneResult,
    caffe_model: Path,
    colour_images: tuple[Path, Path],
    original: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = _contract(run)
    normalized: list[Preprocessing] = []
    normalize = Preprocessing.normalize

    def watched(self: Preprocessing, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        normalized.append(self)
        return normalize(self, crops)

    monkeypatch.setattr(Preprocessing, "normalize", watched)
    own = {"preprocessing.preset": "caffe", "preprocessing.interpolation": "nearest"} if original else {}
    config = load_config(None, {**own, "data.path": str(colour_images[0]), "data.labels": str(colour_images[1])})
    baseline = caffe_model if original else _file(run, "fp32")
    request = BenchmarkRequest(config, _file(run, "qdq"), baseline, workers=1)
    measured = benchmark(request)
    accuracy = [model.accuracy for model in measured.models]
    for section in accuracy:
        assert section is not None
        assert section.evaluation.top1 is not None
        assert section.evaluation.top1.expected > 0.95
    assert (measured.models[1].preprocessing is not None) == original
    assert {times.name for times in measured.stages} == {"fp32", _file(run, "qdq").stem}
    if contract != "imagenet" and not original:
        assert all(preprocessing.leaves_pixels for preprocessing in normalized)


def test_a_run_is_packed_and_its_package_answers(run: TuneResult, tmp_path: Path) -> None:
    for file in package(run.run, output=tmp_path):
        assert verify_package(file).answers
    assert "input_contract" in inspect_model(_file(run, "qdq")).facts


def test_a_model_that_takes_pixels_is_no_source(run: TuneResult, colour_images: tuple[Path, Path]) -> None:
    if _contract(run) == "imagenet":
        return
    config = _config(colour_images, "as-is", "native")
    with pytest.raises(ModelError, match="takes pixels as they are decoded"):
        tune(
            TuneRequest(
                config,
                input_model=_file(run, "fp32"),
                output_model=run.run.parent / "other",
                workers=1,
                pair_seconds=0.2,
            )
        )


def test_without_a_contract_no_fp32_model_is_written(colour_run: TuneResult) -> None:
    assert colour_run.exit_code is ExitCode.DONE
    assert colour_run.report.input_contract is None
    assert not list(colour_run.run.glob("*fp32*"))
    assert ModelArtifact.load(_file(colour_run, "int8")).contract.input.shape[2] == SIDE


def test_a_model_whose_input_no_conv_reads_is_refused_before_anything_is_tuned(
    colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    model = colours_of_caffe()
    model.graph.node[0].input[0] = "clipped"
    model.graph.node.insert(0, helper.make_node("Relu", ["pixels"], ["clipped"], "before"))
    onnx.save(model, tmp_path / "other-13.onnx")
    config = _config(colour_images, "uint8-nhwc", "native")
    with pytest.raises(ModelError, match="needs a Conv that reads the input first"):
        tune(
            TuneRequest(
                config,
                input_model=tmp_path / "other-13.onnx",
                output_model=tmp_path / "out",
                workers=1,
                pair_seconds=0.2,
            )
        )
    assert not (tmp_path / "out" / "trials.jsonl").exists()


def test_overwriting_restarts_the_native_engines_search(
    run: TuneResult, caffe_model: Path, colour_images: tuple[Path, Path], tmp_path: Path
) -> None:
    if _contract(run) != "imagenet":
        return
    shutil.copytree(run.run, tmp_path / "out")
    config = _config(colour_images, "imagenet", "native")
    request = TuneRequest(config, input_model=caffe_model, output_model=tmp_path / "out", workers=1, pair_seconds=0.2)
    again = tune(dataclasses.replace(request, overwrite=True))
    assert again.exit_code is ExitCode.DONE
    assert again.report.provenance.created >= run.report.provenance.created


@pytest.mark.parametrize("changed", [False, True])
def test_overwriting_takes_away_the_model_of_another_contract_unless_it_was_changed_since(
    run: TuneResult, caffe_model: Path, colour_images: tuple[Path, Path], tmp_path: Path, changed: bool
) -> None:
    if _contract(run) != "imagenet":
        return
    shutil.copytree(run.run, tmp_path / "out")
    (fp32,) = (tmp_path / "out").glob("*-fp32-imagenet.onnx")
    if changed:
        fp32.write_bytes(b"another model under the same name")
    config = _config(colour_images, "uint8-nhwc", "native")
    tune(
        TuneRequest(
            config, input_model=caffe_model, output_model=tmp_path / "out", overwrite=True, workers=1, pair_seconds=0.2
        )
    )
    assert fp32.exists() is changed
    assert len(list((tmp_path / "out").glob("*-fp32-uint8-nhwc.onnx"))) == 1
