"""Runs with one defect, checked as the command line does: the right line fails, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quantize.commands.check import check_run
from quantize.errors import ConfigError, ExitCode, RunError
from quantize.gate.result import GateResult

Edit = Callable[[dict[str, Any]], None]


def _int8(values: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = values["models"][0]
    return section


def _broken(result: GateResult) -> dict[str, str]:
    return {line.name: line.verdict for line in result.lines if result.failing(line)}


def _checked(run: Any, baseline: Path | None, **more: Any) -> GateResult:
    return check_run(run.folder, baseline, **more)


def _tolerances(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tolerances.yaml"
    path.write_text(f"version: 1\nidentity: {{source: any, data: any, preprocessing: any, files: any}}\n{text}")
    return path


def test_an_accepted_run_passes_its_own_check(new_run: Any, baseline: Path) -> None:
    result = _checked(new_run(), baseline)
    assert result.exit_code is ExitCode.DONE
    assert {line.verdict for line in result.lines} == {"pass"}
    assert result.differences == ()
    assert (
        (new_run("other").folder.parent / "run" / "check.md")
        .read_text("utf-8")
        .startswith("# Quantization check passed")
    )


def test_agreement_below_ninety_percent_fails_at_its_lines(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: _int8(r)["selection"]["evaluation"]["fidelity"].update(agreement=0.88))
    result = _checked(run, baseline)
    assert result.exit_code is ExitCode.NOT_MET
    assert set(_broken(result)) == {"int8.agreement.fp32", "int8.agreement.baseline"}


def test_labels_shifted_by_one_fail_at_the_data_and_at_fp32_itself(new_run: Any, baseline: Path) -> None:
    def shift(values: dict[str, Any]) -> None:
        values["provenance"]["data_fingerprint"] = "f" * 64
        for model in (values["baseline"], *values["models"]):
            for k in ("top1", "top5"):
                model["selection"]["evaluation"][k]["expected"] = 0.001
        for model in values["models"]:
            model["selection"]["top1"].update(drop=0.0, relative_drop=0.0)

    run = new_run()
    run.change(shift)
    broken = _broken(_checked(run, baseline))
    assert {"run.data", "fp32.top1.baseline", "int8.top1.baseline"} <= set(broken)
    assert "int8.top1_drop.fp32" not in broken


def test_fp32_in_int8s_place_has_no_int8_arithmetic(new_run: Any, baseline: Path, models: Any) -> None:
    run = new_run()
    run.put("int8", models["fp32"]())
    broken = _broken(_checked(run, baseline))
    assert set(broken) == {"int8.integer_share.fp32", "int8.integer_share.baseline"}


def test_an_fp32_file_put_in_after_the_report_is_another_model(new_run: Any, baseline: Path, models: Any) -> None:
    run = new_run()
    (run.folder / "int8.onnx").write_bytes(models["fp32"]().SerializeToString())
    assert _broken(_checked(run, baseline)) == {"int8.file": "fail"}


def test_a_model_swapped_for_another_runs_is_named(new_run: Any, baseline: Path, models: Any) -> None:
    run = new_run()
    (run.folder / "qdq.onnx").write_bytes(models["qdq"](seed=1).SerializeToString())
    result = _checked(run, baseline)
    assert _broken(result) == {"qdq.file": "fail"}
    assert "not the model" in next(line.note or "" for line in result.lines if line.name == "qdq.file")


def test_accuracy_of_another_model_in_the_report_is_named(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: _int8(r)["selection"]["evaluation"].update(graph_sha256="0" * 64))
    assert _broken(_checked(run, baseline)) == {"int8.file": "fail"}


def test_a_lost_file_is_missing_and_a_damaged_one_fails(new_run: Any, baseline: Path) -> None:
    run = new_run()
    (run.folder / "int8.onnx").unlink()
    (run.folder / "qdq.onnx").write_bytes(b"not a model")
    assert _broken(_checked(run, baseline)) == {"int8.file": "missing", "qdq.file": "fail"}


def _without(*path: str) -> Edit:
    def edit(values: dict[str, Any]) -> None:
        block: Any = values
        for key in path[:-1]:
            block = block[int(key)] if isinstance(block, list) else block[key]
        del block[path[-1]]

    return edit


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("models", "0", "selection", "evaluation", "fidelity", "agreement"), "int8.agreement.fp32"),
        (("models", "0", "selection", "evaluation", "fidelity", "mean_kl"), "int8.kl.fp32"),
        (("models", "0", "selection", "evaluation", "tied_share"), "int8.tie_share.fp32"),
        (("models", "0", "selection", "top1", "lost"), "int8.top1_drop.fp32"),
        (("models", "1", "selection", "top5"), "qdq.top5_drop.fp32"),
        (("models", "1", "selection", "evaluation", "top1"), "qdq.top1.baseline"),
        (("models", "0", "bytes"), "int8.size.fp32"),
        (("models", "0", "integer_share"), "int8.integer_share.fp32"),
        (("measurement",), "int8.speedup.fp32"),
        (("measurement", "blocks"), "qdq.latency_p50.baseline"),
        (("resources",), "int8.peak_memory.baseline"),
        (("stages",), "run.tuning_time.baseline"),
        (("source", "weights_sha256"), "run.source"),
        (("provenance", "data_fingerprint"), "run.data"),
        (("models",), "int8.top1_drop.fp32"),
    ],
)
def test_a_deleted_metric_is_missing_and_fails(new_run: Any, baseline: Path, path: tuple[str, ...], line: str) -> None:
    run = new_run()
    run.change(_without(*path))
    result = _checked(run, baseline)
    assert result.exit_code is ExitCode.NOT_MET
    # Without a measurement, the machine's threads are not known either: times are missing, not incomparable.
    assert _broken(result)[line] == "missing"


def test_no_line_vanishes_with_its_metric(new_run: Any, baseline: Path) -> None:
    whole = {line.name for line in _checked(new_run(), baseline).lines}
    run = new_run("damaged")
    run.change(_without("models", "0", "selection"))
    assert {line.name for line in _checked(run, baseline).lines} == whole


def test_a_defect_inside_the_tolerance_passes_and_is_listed(new_run: Any, baseline: Path) -> None:
    run = new_run()
    before = run.report["models"][0]["selection"]["evaluation"]["fidelity"]["agreement"]
    run.change(lambda r: _int8(r)["selection"]["evaluation"]["fidelity"].update(agreement=before - 0.01))
    result = _checked(run, baseline)
    assert result.exit_code is ExitCode.DONE
    (difference,) = result.differences
    assert difference.what == "int8 (QLinear): agreement with fp32"
    assert difference.baseline != difference.found
    assert difference.found in (run.folder / "check.md").read_text("utf-8")


def test_an_unexpected_improvement_is_reported_and_passes(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: _int8(r)["selection"]["evaluation"]["top1"].update(expected=0.75))
    result = _checked(run, baseline)
    line = next(line for line in result.lines if line.name == "int8.top1.baseline")
    assert (line.verdict, line.note) == ("better", "better than the baseline, accept it?")
    assert result.exit_code is ExitCode.DONE


def test_a_runner_without_vnni_is_reported_and_only_times_are_left_out(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: r["provenance"].update(isa=["avx2"]))
    run.change(lambda r: _int8(r)["selection"]["evaluation"]["fidelity"].update(agreement=0.5))
    result = _checked(run, baseline)
    assert any("no VNNI" in note and "results may differ" in note for note in result.notes)
    verdicts = {line.name: line.verdict for line in result.lines}
    machine = [name for name in verdicts if "latency" in name or name == "run.tuning_time.baseline"]
    assert machine
    assert {verdicts[name] for name in machine} == {"not comparable"}
    assert verdicts["int8.speedup.fp32"] == "pass"
    assert verdicts["int8.agreement.baseline"] == "fail"


def test_a_slow_model_fails_at_its_ratio_on_any_machine(new_run: Any, tmp_path: Path) -> None:
    tolerances = _tolerances(tmp_path, "against_fp32: {speedup: {at_least: 50}}\n")
    broken = _broken(_checked(new_run(), None, tolerances=tolerances))
    assert broken == {"int8.speedup.fp32": "fail", "qdq.speedup.fp32": "fail"}


@pytest.mark.parametrize(
    ("policy", "code"), [(None, ExitCode.INCONCLUSIVE), ("pass", ExitCode.DONE), ("fail", ExitCode.NOT_MET)]
)
def test_too_few_images_for_a_certainty_are_inconclusive(
    new_run: Any, tmp_path: Path, policy: str | None, code: ExitCode
) -> None:
    tolerances = _tolerances(tmp_path, "against_fp32: {top1_drop: {relative: 0.01, confidence: 0.95}}\n")
    result = _checked(new_run(), None, tolerances=tolerances, on_inconclusive=policy)
    lines = [line for line in result.lines if line.figure == "top1_drop"]
    assert {line.verdict for line in lines} == {"inconclusive"}
    assert "images would settle it" in (lines[0].note or "")
    assert result.exit_code is code


def test_certainty_against_the_baseline_takes_the_images_as_unpaired(
    new_run: Any, baseline: Path, tmp_path: Path
) -> None:
    tolerances = _tolerances(tmp_path, "against_baseline: {top1: {points: 0.01, confidence: 0.95}}\n")
    assert _checked(new_run("same"), baseline, tolerances=tolerances).exit_code is ExitCode.DONE  # the same images
    other = _checked(new_run("other", seed=1), baseline, tolerances=tolerances)
    assert other.exit_code is ExitCode.INCONCLUSIVE
    run = new_run("worse")
    run.change(lambda r: _int8(r)["selection"]["evaluation"]["top1"].update(expected=0.2))
    assert _broken(_checked(run, baseline, tolerances=tolerances)) == {"int8.top1.baseline": "fail"}


def test_without_labels_accuracy_does_not_apply_and_agreement_decides(new_run: Any, tmp_path: Path) -> None:
    from quantize.commands.check import accept_run

    def unlabelled(values: dict[str, Any]) -> None:
        values["data"]["labelled"] = False
        for model in (values["baseline"], *values["models"]):
            model["selection"].update(top1=None, top5=None)
            model["selection"]["evaluation"].update(top1=None, top5=None)

    first, second = new_run("first"), new_run("second")
    for run in (first, second):
        run.change(unlabelled)
    accept_run(first.folder, tmp_path / "b.json")
    result = _checked(second, tmp_path / "b.json")
    assert result.exit_code is ExitCode.DONE
    assert {line.verdict for line in result.lines if ".top" in line.name} == {"not applicable"}


def test_labels_that_are_gone_since_the_baseline_are_missing(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(lambda r: r["data"].update(labelled=False))
    run.change(lambda r: _int8(r)["selection"]["evaluation"].update(top1=None))
    assert _broken(_checked(run, baseline))["int8.top1.baseline"] == "missing"


def test_figures_that_are_no_numbers_are_missing(new_run: Any, baseline: Path) -> None:
    for value in (True, "0.99", [1], float("nan")):
        run = new_run(f"run-{value}")
        run.change(lambda r, v=value: _int8(r)["selection"]["evaluation"]["fidelity"].update(agreement=v))
        assert _broken(_checked(run, baseline))["int8.agreement.fp32"] == "missing"


def test_tolerances_that_compare_need_a_baseline(new_run: Any) -> None:
    with pytest.raises(ConfigError, match="none was given"):
        _checked(new_run(), None)


@pytest.mark.parametrize("text", ["", "{", "[]", '"report"', "{}", '{"schema_version": 99}'])
def test_what_is_no_report_is_the_users_to_fix(new_run: Any, baseline: Path, text: str) -> None:
    run = new_run()
    (run.folder / "report.json").write_text(text)
    with pytest.raises(RunError):
        _checked(run, baseline)


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"schema_version": 2})])
def test_what_is_no_baseline_is_the_users_to_fix(new_run: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(RunError, match="baseline"):
        _checked(new_run(), tmp_path / "b.json")


def test_an_unwhole_report_cannot_be_accepted(new_run: Any, tmp_path: Path) -> None:
    from quantize.commands.check import accept_run

    run = new_run()
    run.change(_without("models"))
    with pytest.raises(RunError, match="incomplete"):
        accept_run(run.folder, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
