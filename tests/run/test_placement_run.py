"""A run whose layers are placed by recorded times: one where int8 wins, and one where it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from quantize.engines.native.search.latency_model import ProfiledTimes
from quantize.errors import ExitCode
from quantize.measurement.machine.cpu_class import CPU_CLASS
from quantize.models.artifact import ModelArtifact
from quantize.report.markdown import markdown
from quantize.report.storage import read_report
from quantize.rewrites import RatioInterval
from quantize.run import engine_task, settle
from quantize.run.context import Context
from quantize.run.request import TuneRequest, TuneResult
from quantize.run.tune import tune
from tests.run.colours import top1_of
from tests.run.conftest import Configured

# Microseconds of the classifier's two Convs in fp32 and in int8, and of the conversions.
FASTER = {"first": (90, 40), "second": (30, 15)}, 5
SLOWER = {"first": (90, 150), "second": (30, 45)}, 12
Recorded = tuple[dict[str, tuple[int, int]], int]
Tuned = Callable[..., TuneResult]


def profile_of(recorded: Recorded) -> ProfiledTimes:
    times, conversion = recorded

    def ops(at: int, kind: str) -> list[dict[str, object]]:
        return [{"origin": name, "kind": kind, "time_ns": 1e3 * pair[at]} for name, pair in times.items()]

    converting = {"origin": None, "kind": "conversion", "time_ns": 1e3 * conversion}
    return ProfiledTimes.model_validate({"baseline": ops(0, "fp32"), "candidate": [*ops(1, "int8"), converting]})


def time_of(recorded: Recorded, model: ModelArtifact) -> float:
    """Return a model's time: int8 where its layer's input was quantized."""
    times, conversion = recorded
    is_int8 = any(node.op_type == "DequantizeLinear" for node in model.proto().graph.node)
    return sum(pair[is_int8] for pair in times.values()) + (conversion if is_int8 else 0)


@pytest.fixture
def tuned(
    colour_model: Path, configured: Configured, tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> Tuned:
    """Return what tunes the small classifier on a CPU of recorded times."""

    def made(recorded: Recorded, name: str = "out", **changes: object) -> TuneResult:
        def ratio(_: Context, before: ModelArtifact, after: ModelArtifact, *, beside: float | None) -> RatioInterval:
            # Only whether a written file is slower than fp32 needs no figure.
            assert (beside == 1.0) == ("work" not in after.path.parts)
            speedup = time_of(recorded, before) / time_of(recorded, after)
            return RatioInterval(0.99 * speedup, speedup, 1.01 * speedup)

        monkeypatch.setenv(CPU_CLASS, "vnni")
        monkeypatch.setattr(engine_task, "measured_ratio", ratio)
        monkeypatch.setattr(engine_task, "op_times", lambda *_: profile_of(recorded))
        config = configured({"tuning.placement": "measured", "quantization.target": "vnni", **changes})
        return tune(TuneRequest(config, input_model=colour_model, output_model=tmp_path / name, workers=1))

    return made


def test_where_int8_wins_nothing_changes(tuned: Tuned) -> None:
    report = tuned(FASTER).report
    decided = tuned(FASTER, "decided", **{"tuning.placement": "all-int8"}).report
    assert report.placement is not None
    assert report.placement.reason == "no layer measures slower in int8 here"
    assert report.chosen.recipe == decided.chosen.recipe
    assert [model.graph_sha256 for model in report.models] == [model.graph_sha256 for model in decided.models]


def test_where_int8_loses_everything_computes_in_float_on_weights_stored_in_int8(tuned: Tuned) -> None:
    result = tuned(SLOWER)
    report = result.report
    assert result.exit_code is ExitCode.DONE
    assert report.placement is not None
    assert report.placement.taken is not None
    assert (report.placement.taken.kind, report.placement.taken.int8_layers) == ("float", 0)
    assert report.chosen.recipe.stored_nodes == ("first", "second")
    assert report.chosen.all_fp32
    for model in report.models:
        graph = onnx.load(result.run / model.file).graph
        assert {"Cast", "Mul", "Conv"} <= {node.op_type for node in graph.node}
        assert sum(tensor.data_type == onnx.TensorProto.INT8 for tensor in graph.initializer) == 2
        assert top1_of(model) > 0.95
    assert report.verdict.summary.endswith("0 of 2 layers compute in int8: smaller, not faster")
    assert "## Placement" in markdown(report)


def test_a_replay_builds_a_placement_again_bit_for_bit_without_measuring(
    tuned: Tuned, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tuned(SLOWER).run
    monkeypatch.setattr(engine_task, "op_times", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(engine_task, "measured_ratio", lambda *_, **__: pytest.fail("measured"))
    again = tune(TuneRequest(configured(), replay=run / "report.json", output_model=tmp_path / "again", workers=1))
    assert again.report.replay is not None
    assert again.report.replay.outcome == "same"


def test_all_int8_keeps_what_the_engine_decided(tuned: Tuned) -> None:
    report = tuned(SLOWER, **{"tuning.placement": "all-int8"}).report
    assert report.placement is not None
    assert (report.placement.mode, report.placement.options) == ("all-int8", ())
    assert report.model("int8").ops["QLinearConv"] == 2


def test_nothing_is_measured_for_a_target_that_is_not_this_machine(tuned: Tuned) -> None:
    report = tuned(SLOWER, **{"quantization.target": "any"}).report
    assert report.placement is not None
    assert "nothing is measured for the target any on this machine" in report.placement.reason
    assert report.chosen.recipe.stored_nodes == ()


def test_the_times_that_decided_are_in_the_latency_table_and_decide_again(
    tuned: Tuned, colour_model: Path, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tuned(SLOWER).run
    monkeypatch.setattr(engine_task, "op_times", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(engine_task, "measured_ratio", lambda *_, **__: pytest.fail("measured"))
    request = TuneRequest(
        configured({"tuning.placement": "measured"}),
        input_model=colour_model,
        output_model=tmp_path / "recorded",
        latency_table=run / "latency_table.json",
        workers=1,
    )
    assert tune(request).report.placement == read_report(run / "report.json").placement


def test_the_first_conv_takes_an_input_contract_although_its_weights_are_stored(tuned: Tuned) -> None:
    result = tuned(SLOWER, input_contract="uint8-nhwc")
    assert result.exit_code is ExitCode.DONE
    assert result.report.input_contract is not None
    assert result.report.chosen.recipe.stored_nodes == ("first", "second")


def test_files_that_lack_a_rewrite_and_are_slower_than_fp32_give_way_to_float_arithmetic(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = iter([0.8])
    monkeypatch.setattr(settle, "slower_file", lambda *_: next(slow, None))
    asked = {"tuning.speed_criterion.min_speedup": 1, "tuning.exit_policy.max_trials": 1}
    report = tuned(FASTER, **asked).report
    (lost,) = report.lost
    assert (lost.trial, lost.metric, lost.speedup) == (0, None, 0.8)
    assert report.placement is not None
    assert report.placement.taken is not None
    assert report.placement.taken.kind == "float"
    (sentence,) = (reason for reason in report.verdict.reasons if "lost by" in reason)
    assert "(0.80x of fp32's speed)" in sentence
