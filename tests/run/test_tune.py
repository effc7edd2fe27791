from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from quantize.config import load_config
from quantize.data.split import split
from quantize.errors import ConfigError, DataError, ExitCode, ModelError, RunError
from quantize.graph.identity import graph_sha256
from quantize.models.artifact import ModelArtifact
from quantize.report.storage import read_report
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.resolve import with_target
from quantize.run.tune import tune
from tests.run.colours import bytes_of, chosen_candidate, colours, colours_of_caffe, forgetful, top1_of
from tests.run.conftest import Configured, EndedSearch

WRITTEN = ("colours-13-int8.onnx", "colours-13-qdq.onnx")


def test_a_run_begins_with_what_int8_is_expected_to_gain_on_this_cpu(
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class BegunError(Exception):
        """Raised where the search would begin."""

    def begun(*_: object) -> None:
        raise BegunError

    monkeypatch.setattr(importlib.import_module("quantize.run.tune"), "checked_criterion", begun)
    request = TuneRequest(configured(), input_model=colour_model, output_model=tmp_path / "out", workers=1)
    with caplog.at_level("INFO", logger="quantize"), pytest.raises(BegunError):
        tune(request)
    messages = [record.getMessage() for record in caplog.records]
    target = next(place for place, line in enumerate(messages) if line.startswith("target: "))
    gain = next(place for place, line in enumerate(messages) if "x expected here" in line)
    assert target < gain < messages.index("decode the images")
    assert messages[gain].startswith(f"{colour_model.stem}: ")


def test_the_report_holds_the_cpu_and_its_expectation(colour_run: TuneResult) -> None:
    machine = colour_run.report.machine
    assert machine is not None
    assert machine.expectation is not None
    assert machine.line.startswith(machine.expectation.model)
    assert "What this CPU can gain" in (colour_run.run / "report.md").read_text("utf-8")


def test_a_run_leaves_both_models_and_its_records_named_as_agreed(colour_run: TuneResult) -> None:
    files = {path.name for path in colour_run.run.iterdir()}
    assert {*WRITTEN, "report.json", "report.md", "config.yaml", "trials.jsonl", "work"} <= files
    assert [model.file for model in colour_run.report.models] == list(WRITTEN)
    assert not list(colour_run.run.rglob("*.part"))
    assert colour_run.exit_code is ExitCode.DONE
    assert colour_run.report.verdict.status == "met"


def test_a_run_leaves_nothing_outside_of_its_folder(colour_run: TuneResult) -> None:
    assert {path.name for path in colour_run.run.parent.iterdir()} == {"out", "here"}
    assert list((colour_run.run.parent / "here").iterdir()) == []


def test_the_baseline_is_right_on_nearly_all_images_of_the_small_classifier(colour_run: TuneResult) -> None:
    assert top1_of(colour_run.report.baseline) > 0.95


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_model_passes_the_full_check(colour_run: TuneResult, name: str) -> None:
    onnx.checker.check_model(colour_run.run / name, full_check=True)


def test_each_format_holds_its_own_operators_and_int8_weights(colour_run: TuneResult) -> None:
    report = colour_run.report
    assert report.model("int8").ops["QLinearConv"] == 2
    assert "QLinearConv" not in report.model("qdq").ops
    assert report.model("qdq").ops["Conv"] == 2
    for role in ("int8", "qdq"):
        assert report.model(role).integer_share == 1
        assert report.model(role).ops["Softmax"] == report.model(role).ops["GlobalAveragePool"] == 1


def test_the_report_names_the_very_files_that_were_written(colour_run: TuneResult) -> None:
    for section in colour_run.report.models:
        path = colour_run.run / section.file
        artifact = ModelArtifact.load(path)
        assert (section.sha256, section.bytes, section.opset) == (artifact.sha256, path.stat().st_size, artifact.opset)
        assert section.graph_sha256 == graph_sha256(onnx.load(path))
    assert read_report(colour_run.run / "report.json") == colour_run.report


@pytest.mark.parametrize("role", ["fp32", "int8", "qdq"])
def test_the_reported_accuracy_is_that_of_the_written_file_run_again(
    colour_run: TuneResult, colour_images: tuple[Path, Path], role: str
) -> None:
    data, labels = colour_images
    names, truth = zip(*(line.split() for line in labels.read_text().splitlines()), strict=True)
    seen = split(names, calibration_size=24, in_evaluation=False, certification_share=0, seed=1978).evaluation
    images = np.stack([np.asarray(Image.open(data / names[at]), np.float32).transpose(2, 0, 1) for at in seen])
    scores: dict[str, NDArray[np.float32]] = {}
    for section in (colour_run.report.baseline, colour_run.report.model(role)):
        session = onnxruntime.InferenceSession(colour_run.run / section.file, providers=["CPUExecutionProvider"])
        scores[section.role] = session.run(None, {"pixels": images})[0].reshape(len(seen), -1)
    answers = scores[role].argmax(axis=1)
    evaluation = colour_run.report.model(role).selection.evaluation
    assert evaluation.n == len(seen) == 72
    assert evaluation.tied_count == 0
    assert top1_of(colour_run.report.model(role)) == np.mean(answers == np.array([int(truth[at]) for at in seen]))
    if role != "fp32":
        assert evaluation.fidelity is not None
        assert evaluation.fidelity.agreement == np.mean(answers == scores["fp32"].argmax(axis=1))
        of_fp32, own = (scores[name].astype(np.float64) for name in ("fp32", role))
        kl = (of_fp32 * np.log(of_fp32 / own) - of_fp32 + own).sum(axis=1).mean()
        assert evaluation.fidelity.mean_kl == pytest.approx(kl, rel=1e-2)


def test_the_written_configuration_loads_to_the_same_settings(colour_run: TuneResult, configured: Configured) -> None:
    again = load_config(colour_run.run / "config.yaml", {})
    assert again.model_dump(exclude={"notes"}) == with_target(configured()).model_dump(exclude={"notes"})
    assert again.model_dump(mode="json")["evaluation"] == colour_run.report.config["evaluation"]


def test_the_journal_holds_every_trial_of_the_report(colour_run: TuneResult) -> None:
    lines = [json.loads(line) for line in (colour_run.run / "trials.jsonl").read_text().splitlines()]
    recorded = [line["result"]["section"] for line in lines if line.get("step", "").startswith("trial ")]
    assert recorded == [trial.model_dump(mode="json") for trial in colour_run.report.trials]
    assert recorded[0]["graph_sha256"] == graph_sha256(chosen_candidate(colour_run))


def test_the_report_counts_the_images_of_each_part(colour_run: TuneResult) -> None:
    data = colour_run.report.data
    assert (data.images, data.calibration, data.evaluation, data.certification) == (96, 24, 72, 0)
    assert not data.calibration_in_evaluation
    text = (colour_run.run / "report.md").read_text()
    assert "72 evaluation images; the models were calibrated on 24 others." in text
    assert "The models were chosen and judged on the same images." in text


def test_an_existing_run_is_refused_and_left_as_it_was(
    colour_run: TuneResult, colour_model: Path, configured: Configured
) -> None:
    before = bytes_of(colour_run.run)
    with pytest.raises(RunError, match="write over"):
        tune(TuneRequest(configured(), input_model=colour_model, output_model=colour_run.run))
    assert bytes_of(colour_run.run) == before


@pytest.mark.parametrize("labels", [lambda name: f"missing-{name} 1", lambda name: f"{name} 1"])
def test_an_earlier_run_stays_intact_until_its_replacement_has_proved_its_inputs(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    colour_images: tuple[Path, Path],
    tmp_path: Path,
    labels: Callable[[str], str],
) -> None:
    run, wrong = tmp_path / "out", tmp_path / "labels.txt"
    shutil.copytree(colour_run.run, run)
    wrong.write_text("\n".join(labels(path.name) for path in colour_images[0].iterdir()))
    config = configured({"data.labels": str(wrong)})
    before = bytes_of(colour_run.run)
    with pytest.raises(DataError):
        tune(TuneRequest(config, input_model=colour_model, output_model=run, overwrite=True, workers=1))
    after = bytes_of(run)
    assert {name: after[name] for name in before if "work" not in name} == {
        name: content for name, content in before.items() if "work" not in name
    }


def test_overwriting_replaces_the_whole_run(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    run = tmp_path / "out"
    shutil.copytree(colour_run.run, run)
    (run / "report.html").write_text("of the earlier run")
    ended_search(forgetful(chosen_candidate(colour_run), 1))
    result = tune(TuneRequest(configured(), input_model=colour_model, output_model=run, overwrite=True, workers=1))
    assert result.exit_code is ExitCode.NOT_MET
    assert read_report(run / "report.json") == result.report
    assert len((run / "trials.jsonl").read_text().splitlines()) == 3
    assert not (run / "report.html").exists() or (run / "report.html").read_text() != "of the earlier run"


@pytest.mark.parametrize("link", [False, True])
def test_the_source_is_never_written_over(
    colour_run: TuneResult, configured: Configured, tmp_path: Path, ended_search: EndedSearch, link: bool
) -> None:
    ended_search()
    source, output = tmp_path / "mine.onnx", tmp_path / "mine.onnx"
    onnx.save(colours(), source)
    if link:
        output = tmp_path / "other.onnx"
        output.symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(RunError, match="replace the input"):
        tune(TuneRequest(configured(), input_model=source, output_model=output, overwrite=True))
    assert source.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {source.name, output.name}


def test_where_nothing_meets_the_criterion_the_best_candidate_is_written_and_the_exit_code_is_1(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    good = chosen_candidate(colour_run)
    ended_search(forgetful(good, 3), forgetful(good, 1), forgetful(good, 2))
    result = tune(TuneRequest(configured(), input_model=colour_model, output_model=tmp_path / "out", workers=1))
    report = result.report
    assert result.exit_code is ExitCode.NOT_MET
    assert report.verdict.status == "not met"
    assert "do NOT meet" in report.verdict.text
    assert [trial.met for trial in report.trials] == [False, False, False]
    assert report.chosen.trial == 1
    for role in ("int8", "qdq"):
        assert top1_of(report.model(role)) == report.trials[1].metric
        assert (result.run / report.model(role).file).is_file()
    assert "do NOT meet" in (result.run / "report.md").read_text()


@pytest.mark.parametrize("lost", [0, 1])
def test_without_labels_agreement_with_fp32_decides_and_the_report_says_so(
    colour_run: TuneResult,
    colour_model: Path,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    lost: int,
) -> None:
    good = chosen_candidate(colour_run)
    ended_search(forgetful(good, lost) if lost else good)
    config = configured({"data.labels": None})
    result = tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out", workers=1))
    report = result.report
    assert result.exit_code is (ExitCode.NOT_MET if lost else ExitCode.DONE)
    assert (report.criterion.metric, report.criterion.minimum, report.criterion.relative) == ("agreement", 0.95, None)
    assert not report.data.labelled
    selection = report.model("int8").selection
    assert selection.evaluation.top1 is None
    assert selection.top1 is None
    assert selection.evaluation.fidelity is not None
    assert report.trials[0].metric == selection.evaluation.fidelity.agreement
    assert "The images have no labels: agreement with fp32's top-1 decides." in (result.run / "report.md").read_text()


def test_without_a_criterion_even_labels_of_another_model_do_not_stop_a_run(
    colour_run: TuneResult,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    colour_images: tuple[Path, Path],
) -> None:
    _, labels = colour_images
    turned = tmp_path / "turned.txt"
    turned.write_text("".join(f"{name} {(int(label) + 1) % 6}\n" for name, label in map(str.split, labels.open())))
    ended_search()
    onnx.save(colours(), tmp_path / "net.onnx")
    request = TuneRequest(
        configured({"data.labels": str(turned)}),
        input_model=tmp_path / "net.onnx",
        output_model=tmp_path / "mine.onnx",
        workers=1,
    )
    with pytest.raises(DataError, match="no more often than chance"):
        tune(replace(request, output_model=tmp_path / "refused"))
    result = tune(replace(request, criterion="none"))
    assert result.exit_code is ExitCode.DONE
    assert result.report.verdict.status == "not asked"
    assert result.report.model("int8").selection.judgement is None
    assert result.run == tmp_path / "mine.run"
    assert (tmp_path / "mine.onnx").is_file()
    assert (tmp_path / "net-13-qdq.onnx").is_file()
    assert "--criterion none" in (result.run / "report.md").read_text()


def test_images_that_cannot_be_read_stop_a_run_or_are_listed_and_a_certificate_needs_enough_images(
    colour_run: TuneResult,
    configured: Configured,
    tmp_path: Path,
    ended_search: EndedSearch,
    colour_images: tuple[Path, Path],
) -> None:
    data, _ = colour_images
    damaged = tmp_path / "val"
    shutil.copytree(data, damaged)
    for name in ("image007.png", "image008.png"):
        (damaged / name).write_bytes((damaged / name).read_bytes()[:60])
    onnx.save(colours(), tmp_path / "net.onnx")
    changes = {
        "data.path": str(damaged),
        "tuning.certification": 0.5,
        "tuning.accuracy_criterion.confidence": 0.95,
    }
    request = TuneRequest(
        configured(changes), input_model=tmp_path / "net.onnx", output_model=tmp_path / "out", workers=1
    )
    ended_search()
    with pytest.raises(DataError) as caught:
        tune(request)
    assert "image007.png" in str(caught.value)
    assert "image008.png" in str(caught.value)
    assert not (tmp_path / "out" / "report.json").exists()

    result = tune(replace(request, skip_unreadable=True, overwrite=True))
    report, text = result.report, (result.run / "report.md").read_text()
    assert [image.id for image in report.data.skipped] == ["image007.png", "image008.png"]
    assert all(image.reason for image in report.data.skipped)
    assert "image007.png" in text
    assert (report.data.images, report.data.calibration) == (96, 24)
    assert (report.data.evaluation, report.data.certification) == (35, 35)

    assert [model.file for model in report.models] == ["net-13-int8.onnx", "net-13-qdq.onnx"]

    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert report.verdict.status == "inconclusive"
    for model in report.models:
        assert model.certification is not None
        assert (model.selection.evaluation.n, model.certification.evaluation.n) == (35, 35)
        judgement = model.certification.judgement
        assert judgement is not None
        assert judgement.deciding.confidence == 0.95
        needed = judgement.deciding.images_needed
        assert needed is not None
        assert needed > 35
        assert any(f"about {needed:,} images" in reason for reason in report.verdict.reasons)
    assert report.trials[0].metric == top1_of(report.model("int8"))
    assert "the 35 images that no trial used; the verdict rests on them" in text


@pytest.mark.parametrize(("asked", "right"), [("imagenet", "caffe"), (None, "caffe")])
def test_wrong_preprocessing_is_refused_with_the_name_of_the_preset_that_fits(
    configured: Configured, tmp_path: Path, asked: str | None, right: str
) -> None:
    onnx.save(colours_of_caffe(), tmp_path / "net.onnx")
    changes: dict[str, object] = {"preprocessing.scale": "0.0001"}
    if asked:
        keys = ("resize", "resize_mode", "interpolation", "channel_order", "scale", "mean", "std")
        changes = {f"preprocessing.{key}": None for key in keys} | {"preprocessing.preset": asked}
    output = tmp_path / "out"
    with pytest.raises(DataError) as caught:
        tune(TuneRequest(configured(changes), input_model=tmp_path / "net.onnx", output_model=output, workers=1))
    text = str(caught.value)
    assert f"use --preset {right}" in text
    assert f"with '{right}': 100.0 % on 96 images" in text
    assert (f"the preset '{asked}'" if asked else "the preprocessing of the configuration") in text
    assert not (output / "report.json").exists()
    assert not list(output.glob("*.onnx"))


def test_labels_of_another_order_are_not_blamed_on_the_preprocessing_alone(
    configured: Configured, tmp_path: Path, colour_images: tuple[Path, Path]
) -> None:
    generator = np.random.default_rng(1)
    labels = tmp_path / "labels.txt"
    names = [line.split()[0] for line in colour_images[1].read_text().splitlines()]
    labels.write_text(
        "".join(f"{name} {label}\n" for name, label in zip(names, generator.integers(0, 6, 96), strict=True))
    )
    onnx.save(colours(), tmp_path / "net.onnx")
    config = configured({"data.labels": str(labels)})
    with pytest.raises(DataError, match="check that the labels belong to this model"):
        tune(TuneRequest(config, input_model=tmp_path / "net.onnx", output_model=tmp_path / "out", workers=1))


def test_an_interrupted_run_goes_on_after_its_last_finished_trial(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    good, run = chosen_candidate(colour_run), tmp_path / "out"
    ended_search(forgetful(good, 1), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        tune(TuneRequest(configured(), input_model=colour_model, output_model=run, workers=1))
    assert not (run / "report.json").exists()
    assert not list(run.glob("*.onnx"))
    journal = (run / "trials.jsonl").read_bytes()
    first = json.loads(journal.splitlines()[1])["result"]["section"]

    changed = configured({"tuning.random_seed": 7})
    with pytest.raises(RunError, match="settings that it was begun with"):
        tune(TuneRequest(changed, resume=run, workers=1))
    assert (run / "trials.jsonl").read_bytes() == journal
    assert load_config(run / "config.yaml", {}).tuning.random_seed == 1978

    with (run / "trials.jsonl").open("ab") as stream:
        stream.write(b'{"step": "trial torn')
    ended_search(RuntimeError("the first trial is not to be repeated"), good)
    result = tune(TuneRequest(load_config(run / "config.yaml", {}), resume=run, workers=1))
    assert result.exit_code is ExitCode.DONE
    assert result.report.trials[0].model_dump(mode="json") == first
    assert [trial.index for trial in result.report.trials] == [0, 1]
    assert result.report.chosen.trial == 1
    assert (run / "trials.jsonl").read_bytes().startswith(journal)


def test_a_finished_run_that_is_resumed_is_only_read_again(colour_run: TuneResult) -> None:
    before = bytes_of(colour_run.run)
    again = tune(TuneRequest(load_config(colour_run.run / "config.yaml", {}), resume=colour_run.run))
    assert again == colour_run
    assert bytes_of(colour_run.run) == before


def test_a_file_that_is_not_a_model_is_refused_before_anything_is_written(
    configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "net.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError):
        tune(TuneRequest(configured(), input_model=tmp_path / "net.onnx", output_model=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_model_without_images_is_refused(configured: Configured, colour_model: Path, tmp_path: Path) -> None:
    config = configured({"data.path": None, "data.labels": None})
    with pytest.raises(ConfigError, match="no images are named"):
        tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_decoded_images_are_kept_for_a_later_run_unless_their_removal_is_asked_for(
    colour_run: TuneResult, colour_model: Path, configured: Configured, tmp_path: Path, ended_search: EndedSearch
) -> None:
    assert list((colour_run.run / "work" / "crops").iterdir())
    ended_search(chosen_candidate(colour_run))
    request = TuneRequest(
        configured(), input_model=colour_model, output_model=tmp_path / "out", workers=1, remove_crops=True
    )
    assert tune(request).exit_code is ExitCode.DONE
    assert not [path for path in (tmp_path / "out" / "work" / "crops").iterdir() if path.suffix != ".lock"]
