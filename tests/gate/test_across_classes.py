"""Runs of one class of CPUs against a baseline of another, and tolerances that apply to some classes only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quantize.commands.check import check_run
from quantize.errors import ExitCode
from quantize.gate.machine import Machine
from quantize.gate.result import Line


def on(cpu_class: str, target: str) -> Callable[[dict[str, Any]], None]:
    """Let the run be measured on a class of CPUs, with models made for the target."""

    def edit(values: dict[str, Any]) -> None:
        isa = {"vnni": ["avx2", "avx512_vnni"], "avx2": ["avx2"], "arm64": ["asimd", "asimddp"]}[cpu_class]
        values["provenance"].update(isa=isa, cpu_class=cpu_class)
        values["measurement"]["environment"].update(cpu_class=cpu_class, isa_flags=isa)
        values["chosen"]["target"] = target

    return edit


def lines_of(run: Any, baseline: Path | None, **more: Any) -> dict[str, Line]:
    result = check_run(run.folder, baseline, limits_only=baseline is None, **more)
    return {line.name: line for line in result.lines}


ANSWERS = ("top1", "top5", "agreement", "kl", "tie_share")


@pytest.mark.parametrize("here", ["avx2", "arm64"])
def test_of_the_same_file_accuracy_is_compared_and_latency_is_not(new_run: Any, baseline: Path, here: str) -> None:
    run = new_run()
    run.change(on(here, here))
    lines = lines_of(run, baseline)
    assert {lines[f"int8.{name}.baseline"].verdict for name in ANSWERS} == {"pass"}
    assert lines["int8.size.baseline"].verdict == "pass"
    for name in ("int8.latency_p50.baseline", "int8.speedup.baseline", "run.tuning_time.baseline"):
        assert lines[name].verdict == "not comparable"
        assert lines[name].note == f"measured on CPUs of class {here}, the baseline on vnni"


def test_of_another_file_for_another_class_nothing_is_compared_but_fp32(new_run: Any, baseline: Path) -> None:
    run = new_run(seed=1)
    run.change(on("avx2", "avx2"))
    lines = lines_of(run, baseline)
    assert {lines[f"int8.{name}.baseline"].verdict for name in (*ANSWERS, "size")} == {"not comparable"}
    assert lines["int8.integer_share.baseline"].verdict == "not applicable"  # a share of int8 binds with VNNI only
    assert lines["int8.top1.baseline"].note == "another file: for avx2, the baseline's for vnni"
    assert lines["fp32.top1.baseline"].verdict == "pass"
    assert lines["int8.top1_drop.fp32"].verdict == "pass"  # limits within the run hold on every class


def test_worse_accuracy_of_the_same_file_fails_across_classes(new_run: Any, baseline: Path) -> None:
    run = new_run()
    run.change(on("avx2", "avx2"))
    run.change(lambda values: values["models"][0]["selection"]["evaluation"]["top1"].update(expected=0.5))
    assert lines_of(run, baseline)["int8.top1.baseline"].verdict == "fail"


def test_accuracy_that_an_earlier_version_took_with_saturated_sums_is_not_compared(
    new_run: Any, baseline: Path
) -> None:
    run = new_run()
    run.change(on("avx2", "vnni"))
    for section in ("provenance",):
        run.change(lambda values, of=section: values[of].pop("cpu_class"))
    run.change(lambda values: values["measurement"]["environment"].pop("cpu_class"))
    run.change(lambda values: values["chosen"].update(saturating_layers=26))
    lines = lines_of(run, baseline)
    assert lines["int8.agreement.baseline"].verdict == "not comparable"
    assert "26 layers" in (lines["int8.agreement.baseline"].note or "")
    assert lines["fp32.top1.baseline"].verdict == "pass"


def test_speed_that_was_not_measured_for_the_target_is_not_held_against_anything(
    new_run: Any, tmp_path: Path, baseline: Path
) -> None:
    run = new_run()
    run.change(on("avx2", "vnni"))
    for lines in (lines_of(run, baseline), lines_of(run, None)):
        line = lines["int8.speedup.fp32"]
        assert line.verdict == "not comparable"
        assert line.note == "not measured for the target vnni: this machine's class of CPUs is avx2"
    required = check_run(run.folder, limits_only=True, require=("speedup",))
    assert required.exit_code is ExitCode.NOT_MET


@pytest.mark.parametrize(("target", "verdict"), [("vnni", "fail"), ("avx2", "not applicable")])
def test_a_share_of_int8_binds_for_vnni_only(new_run: Any, models: Any, target: str, verdict: str) -> None:
    run = new_run()
    run.put("int8", models["fp32"]())
    run.change(on(target, target))
    line = lines_of(run, None)["int8.integer_share.fp32"]
    assert line.verdict == verdict
    if verdict == "not applicable":
        assert line.note == "applies to vnni only: this run's models are for avx2"


def test_a_change_binds_for_its_classes_only(new_run: Any, baseline: Path, tmp_path: Path) -> None:
    tolerances = tmp_path / "tolerances.yaml"
    tolerances.write_text("against_baseline: {size: {relative: 0, classes: [arm64]}}\n")
    run = new_run()
    run.change(lambda values: values["models"][0].update(bytes=2 * values["models"][0]["bytes"]))
    assert lines_of(run, baseline, tolerances=tolerances)["int8.size.baseline"].verdict == "not applicable"


@pytest.mark.parametrize(
    ("isa", "known"),
    [
        (("avx2", "avx512_vnni"), "vnni"),
        (("avx2", "avx512f"), "avx2"),
        (("asimd",), "arm64"),
        (("sse4_2",), "any"),
        ((), None),
    ],
)
def test_the_class_of_an_earlier_baseline_follows_from_its_instruction_sets(isa: tuple[str, ...], known: str) -> None:
    assert Machine(isa=isa, cpu_model="a", logical_cores=1, threads=1).known_class == known
