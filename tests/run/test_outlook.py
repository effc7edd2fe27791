"""What a run says of the time that it will take, and that it will still take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from quantize.progress import WHOLE_RUN
from quantize.run.effort import QUICK
from quantize.run.outlook import Outlook
from quantize.run.plan import (
    ANATOMY,
    BENCHMARK,
    CHECK,
    DECODE,
    FILES,
    FP32,
    HELD,
    LAYER_ERRORS,
    PLACE,
    REWRITE,
    TIMED,
    planned,
)
from quantize.run.work import Work, rounding_of

WORK = Work(
    images=50_000,
    evaluated=49_900,
    certification=0,
    calibrated=100,
    layers=26,
    fp32=0.01,
    int8=0.5,
    slowness=1.0,
    cores=2,
    searches=(("tune", "native"),),
    iterations=1000,
    most_search=1800.0,
    most_benchmark=120.0,
)

_QUICK = replace(
    WORK, quick=True, effort=QUICK, images=224, evaluated=192, calibrated=32, iterations=60, most_benchmark=8
)


class _Run:
    """A run on a clock that the test moves, and the last that it told of the whole."""

    def __init__(self, work: Work = WORK) -> None:
        self.now, self.whole, self.others = 0.0, (0, 0), list[str]()
        self.outlook = Outlook(self._progress, lambda: self.now)
        self.outlook.expect(work)

    def _progress(self, stage: str, done: int, total: int | None) -> None:
        if stage == WHOLE_RUN:
            assert total is not None
            self.whole = (done, total)
        else:
            self.others.append(stage)

    def passes(self, stage: str, seconds: float) -> None:
        """Let a stage take some time."""
        self.outlook.begin(stage)
        self.now += seconds
        self.outlook.end(stage)

    @property
    def left(self) -> int:
        """Return the seconds that are left."""
        return self.whole[1] - self.whole[0]


def test_nothing_is_said_before_anything_is_known() -> None:
    told: list[str] = []
    Outlook(lambda stage, *_: told.append(stage))("read", 1, 2)
    assert told == ["read"]


def test_the_plan_is_told_at_the_start_stage_by_stage_with_its_sum(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="quantize"):
        _Run()
    first, *stages = (record.getMessage() for record in caplog.records)
    assert first.startswith("the whole run takes about ")
    assert [line.strip().rpartition(": ")[0] for line in stages] == list(planned(WORK).in_words())
    assert _Run().left == pytest.approx(planned(WORK).seconds, abs=1)


def test_a_run_that_goes_as_planned_has_always_left_what_was_planned() -> None:
    run = _Run()
    for stage, seconds in planned(WORK).stages:
        run.outlook.begin(stage)
        run.now += seconds / 2
        run.outlook("anything", 1, None)
        assert run.now + run.left == pytest.approx(planned(WORK).seconds, abs=2)
        run.now += seconds / 2
        run.outlook.end(stage)
    assert run.left == 1  # never told to be over before it is


def test_what_is_left_falls_as_the_images_go_by() -> None:
    run = _Run()
    run.passes(DECODE, 115)
    run.outlook.begin(FP32)
    before = run.left
    run.now += 124.75  # half of the images, at 5 ms each
    run.outlook("evaluate", 1000, 2000)
    assert before - run.left == pytest.approx(124.75, abs=2)


def test_a_model_that_is_slower_than_planned_makes_all_that_follows_longer() -> None:
    run = _Run()
    run.passes(DECODE, 115)
    run.outlook.begin(FP32)
    run.now += 499.0
    run.outlook("evaluate", 2000, 2000)
    before = run.left
    run.outlook.end(FP32)
    assert run.left > 1.5 * before


def test_images_that_were_decoded_before_tell_nothing_of_what_follows() -> None:
    run = _Run()
    run.passes(DECODE, 0.1)
    assert run.left == pytest.approx(planned(WORK).after(0), abs=1)


def test_a_search_is_planned_to_take_its_time_budget_at_most() -> None:
    slow = replace(WORK, fp32=1.0)
    assert dict(planned(slow).stages)["tune"] == 1800
    assert dict(planned(replace(slow, most_search=60.0)).stages)["tune"] == 60


def test_a_benchmark_takes_as_long_as_its_runs_and_never_longer_than_it_may() -> None:
    few, many = (dict(planned(replace(WORK, iterations=runs)).stages)[BENCHMARK] for runs in (100, 1000))
    assert few < many < 120
    assert dict(planned(replace(WORK, fp32=1.0)).stages)[BENCHMARK] == 120
    run = _Run()
    run.outlook.begin(BENCHMARK)
    run.now += 110.0
    run.outlook("benchmark", 1, 25)
    assert run.left <= 10 + planned(WORK).after([name for name, _ in planned(WORK).stages].index(BENCHMARK)) + 1


def test_a_stage_that_takes_longer_than_planned_is_never_over_by_the_clock() -> None:
    run = _Run()
    run.outlook.begin(ANATOMY)
    run.now = 10_000.0
    run.outlook("profile", 1, None)
    assert run.left > 900


def test_more_of_anything_is_never_planned_to_take_less() -> None:
    seconds = planned(WORK).seconds
    for more in (
        {"images": 60_000},
        {"evaluated": 60_000},
        {"calibrated": 500},
        {"layers": 60},
        {"fp32": 0.02},
        {"slowness": 2.5},
        {"iterations": 2000},
        {"searches": (("tune with a", "native"), ("tune with b", "inc"))},
    ):
        assert planned(replace(WORK, **more)).seconds > seconds  # type: ignore[arg-type]
    assert planned(replace(WORK, cores=8)).seconds < seconds
    assert planned(_QUICK).seconds < 30


def test_files_that_are_written_again_do_not_take_the_plan_back_or_to_the_next_engines() -> None:
    both = replace(WORK, searches=(("tune with a", "native"), ("tune with b", "inc")))
    run = _Run(both)
    for stage in (DECODE, FP32, "tune with a", "tune with b", LAYER_ERRORS, REWRITE, CHECK):
        run.passes(stage, 0.0)
    before = run.left
    run.passes(REWRITE, 0.0)  # now that everything is decided
    assert run.left == before
    for stage in (HELD, PLACE, LAYER_ERRORS, REWRITE, CHECK, HELD, TIMED, FILES):
        run.passes(stage, 0.0)
        assert run.left <= before
        before = run.left


def test_a_model_that_is_slower_on_images_kept_from_trials_is_planned_for_all_of_them() -> None:
    run = _Run()
    run.outlook.expect_unseen(15_000)
    run.outlook.begin(FP32)
    assert run.left == pytest.approx(planned(replace(WORK, evaluated=34_900, certification=15_000)).after(0), abs=2)


def test_a_stage_that_is_taken_up_again_is_not_over_before_it_has_ended_again() -> None:
    run = _Run()
    for stage in (DECODE, FP32, LAYER_ERRORS, REWRITE, CHECK):
        run.passes(stage, 1)
    run.passes(HELD, 1)
    over = run.left
    run.outlook.begin(HELD)
    assert run.left > over
    run.passes(HELD, 1)
    assert run.left == over


def test_files_are_planned_to_be_timed_where_the_layers_were_placed_by_time() -> None:
    inc = replace(WORK, searches=(("tune", "inc"),))
    assert TIMED in dict(planned(inc).stages)
    assert TIMED not in dict(planned(replace(inc, is_placed=False)).stages)
    assert TIMED not in dict(planned(WORK).stages)


def test_images_that_the_files_were_held_against_their_trial_on_are_not_planned_twice() -> None:
    few, sampled = (planned(replace(WORK, evaluated=count)).in_words() for count in (500, 49_900))
    assert few[FILES] < 1 < few[HELD]
    assert sampled[FILES] > sampled[HELD]


def test_large_layers_add_the_time_in_which_their_weights_are_rounded() -> None:
    large = planned(replace(WORK, rounding=24_000_000_000)).in_words()["tune"]
    assert large - planned(WORK).in_words()["tune"] == pytest.approx(240)


def test_what_rounding_takes_is_counted_by_layer() -> None:
    def layer(name: str, outputs: int, inputs: int, taken: str) -> tuple[NodeProto, TensorProto]:
        weights = numpy_helper.from_array(np.ones((outputs, inputs, 3, 3), np.float32), f"{name}.weight")
        return helper.make_node("Conv", [taken, weights.name], [f"{name}.output"], name), weights

    nodes, weights = zip(layer("first", 4, 3, "x"), layer("second", 5, 4, "first.output"), strict=True)
    image, scores = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "second.output"))
    model = helper.make_model(helper.make_graph(nodes, "graph", [image], [scores], weights))
    assert rounding_of(model) == 4 * 27**2 + 5 * 36**2
