"""``quantize machine`` on recorded CPUs; QUANTIZE_UPDATE_GOLDEN=1 rewrites the golden files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from quantize.cli.main import main
from quantize.commands.machine import MachineReport
from quantize.errors import ExitCode
from quantize.measurement.machine import measure_cpu
from quantize.measurement.machine.expectation import expected
from quantize.measurement.machine.layer_gains import LayerGain, measured_gains
from quantize.measurement.machine.text import machine_text
from quantize.report.storage import json_schema

_GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def gains(timed, layers, recorded_machines):
    """Return the layers' gains on a CPU: the third and the depthwise layer gain more than expected."""

    def of(cpu_class: str) -> tuple[LayerGain, ...]:
        peaks = recorded_machines[cpu_class].single

        def nanoseconds(probe, threads):
            peak = peaks.of(probe.shape.kind)
            slower = 1.5 if probe.shape.kind in ("depthwise", "spatial") else 1.05
            rate = peak.fp32 / slower if probe.arithmetic == "fp32" else peak.int8
            return probe.shape.multiply_adds * 1e9 / rate

        return measured_gains(layers, peaks, timed(nanoseconds))

    return of


@pytest.mark.parametrize("cpu_class", ["vnni", "avx2"])
@pytest.mark.parametrize("what", ["cpu", "model"])
def test_a_machine_is_drawn_as_before(cpu_class, what, recorded_machines, layers, gains):
    machine = recorded_machines[cpu_class]
    if what == "cpu":
        several = machine.single.model_copy(update={"threads": 2, "spread": 0.42})
        drawn = machine_text(machine.model_copy(update={"several": several}))
    else:
        drawn = machine_text(machine, Path("kept.json"), expected("squeezenet", layers, machine), gains(cpu_class))
    golden = _GOLDEN / f"{what}_{cpu_class}.txt"
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        golden.write_text(drawn + "\n", encoding="utf-8")
    assert drawn + "\n" == golden.read_text(encoding="utf-8")
    assert max(map(len, drawn.splitlines())) <= 80


def test_no_long_list_or_name_breaks_the_screen(recorded_machines, layers, gains):
    machine, name = recorded_machines["vnni"], f"/a/very/long/{'path/' * 20}{{}}/Conv"
    many = tuple(
        gain.model_copy(update={"name": name.format(number), "layers": 12, "fp32_ns": 50 * gain.int8_ns})
        for number in range(40)
        for gain in gains("vnni")
    )
    text = machine_text(machine, None, expected("n" * 90, layers, machine), many)
    assert max(map(len, text.splitlines())) <= 90, "only a name of 90 letters may be longer than a line"
    assert "and 188 more" in text


def test_the_command_says_whether_it_is_from_the_cache(capsys, monkeypatch):
    assert main(["machine"]) is ExitCode.DONE
    assert "measured now" in capsys.readouterr().out
    kept = measure_cpu.Known(measure_cpu.this_machine(2).machine, Path("kept.json"))
    monkeypatch.setattr(measure_cpu, "this_machine", lambda threads, again=False: kept)
    assert main(["machine"]) is ExitCode.DONE
    assert "from the cache, measured 2026" in capsys.readouterr().out


def test_json_of_a_model_follows_the_schema(capsys, tiny):
    assert main(["machine", str(tiny), "--json", "--cores_per_instance=1"]) is ExitCode.DONE
    values = json.loads(capsys.readouterr().out)
    schema = json.loads(json_schema(MachineReport))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert values["expectation"]["kinds"][0]["kind"] == "first"
    assert values["layers"][0]["name"] == "conv"
    assert MachineReport.model_validate(values).machine.several is None
    assert main(["schema", "machine"]) is ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == schema


def test_more_threads_than_cores_and_quantized_models_are_refused(capsys, tmp_path, tiny):
    assert main(["machine", "--cores_per_instance=9999"]) is ExitCode.USER
    assert "more cores than this machine has" in capsys.readouterr().err
    assert main(["machine", str(tmp_path / "missing.onnx")]) is ExitCode.USER
    assert "missing.onnx" in capsys.readouterr().err
