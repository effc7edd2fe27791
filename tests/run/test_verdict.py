from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from quantize.criterion import Criterion
from quantize.errors import ExitCode
from quantize.recipe import Recipe
from quantize.report.criterion import FileSpeed, SpeedStatus, SpeedVerdict, VerdictSection
from quantize.report.models import AccuracySection, FormatsSection, ModelSection, Role
from quantize.report.trials import ChosenSection
from quantize.report.wording import would_settle
from quantize.run.evaluator import baseline_accuracy, candidate_accuracy
from quantize.run.verdict import exit_code, verdict_section
from quantize.target import CpuClass
from tests.run.conftest import Evaluated

CRITERION = Criterion("top1", baseline=0.8, relative=0.01)
AGREED = FormatsSection(agreement=1.0, required=0.995, largest_difference=0.0)


def model(
    role: Role, selection: AccuracySection, certification: AccuracySection | None = None, size: int = 1
) -> ModelSection:
    return ModelSection(
        role=role,
        file=f"{role}.onnx",
        sha256="0" * 64,
        graph_sha256="1" * 64,
        bytes=size,
        opset=13,
        ops={},
        selection=selection,
        certification=certification,
    )


def judged(
    evaluated: Evaluated, lost: int, *, n: int = 100, criterion: Criterion = CRITERION, confidence: float | None = None
) -> AccuracySection:
    """Return the section of a candidate that loses ``lost`` of the four in five images that fp32 has right."""
    right = [number < n * 4 // 5 for number in range(n)]
    kept = [number < n * 4 // 5 - lost for number in range(n)]
    agreements = [float(first == second) for first, second in zip(right, kept, strict=True)]
    labelled = criterion.metric != "agreement"
    return candidate_accuracy(
        evaluated(right, labelled=labelled),
        evaluated(kept, labelled=labelled, agreements=agreements),
        criterion=replace(criterion, confidence=confidence),
        seed=1,
    )


def section(
    *models: ModelSection,
    criterion: Criterion = CRITERION,
    formats: FormatsSection | None = AGREED,
    layers: tuple[int, int] = (26, 26),
    demonstration: bool = False,
    speed: SpeedVerdict | None = None,
    fastest: float | None = None,
    stopped: str = "it ended",
) -> VerdictSection:
    recipe = Recipe(engine="inc")
    chosen = ChosenSection(
        trial=0,
        recipe_id=recipe.id,
        recipe=recipe,
        all_fp32=layers[0] == 0,
        int8_layers=layers[0],
        layers=layers[1],
    )
    return verdict_section(
        criterion,
        models,
        formats,
        chosen,
        stopped_because=stopped,
        demonstration=demonstration,
        fp32_bytes=4,
        speed=speed,
        fastest=fastest,
    )


def timed(
    status: SpeedStatus,
    ratio: float,
    *,
    asked: float = 1.0,
    slower: bool = False,
    target: CpuClass = "vnni",
) -> SpeedVerdict:
    outcome = status if status in ("met", "not met", "inconclusive") else None
    files = tuple(
        FileSpeed.model_validate(
            {
                "role": role,
                "ratio": ratio,
                "low": ratio - 0.01,
                "high": ratio + 0.01,
                "outcome": outcome,
                "slower": slower,
            }
        )
        for role in ("int8", "qdq")
    )
    return SpeedVerdict(
        status=status, min_speedup=asked, noise_floor=0.005, measured_on="vnni", target=target, files=files
    )


@pytest.mark.parametrize(
    ("losses", "status", "code"),
    [((0, 0), "met", ExitCode.DONE), ((0, 9), "not met", ExitCode.NOT_MET), ((9, 0), "not met", ExitCode.NOT_MET)],
)
def test_both_files_have_to_meet_the_criterion(
    evaluated: Evaluated, losses: tuple[int, int], status: str, code: ExitCode
) -> None:
    verdict = section(model("int8", judged(evaluated, losses[0])), model("qdq", judged(evaluated, losses[1])))
    assert (verdict.status, exit_code(verdict, None)) == (status, code)
    assert len(verdict.reasons) == 3


def test_a_reason_names_the_model_the_figure_the_tolerance_and_the_images(evaluated: Evaluated) -> None:
    reason, worth = section(model("int8", judged(evaluated, 4))).reasons
    assert reason.startswith("The QLinear model loses 5.00 % of fp32's top-1 (may lose 1.00 %) on 100 images")
    assert "not met by the point estimate" in reason
    assert worth == "1 % is 1 of 100 images, so a few images decide."


def test_the_tolerance_is_given_in_images_if_the_point_estimate_decides(evaluated: Evaluated) -> None:
    wide = Criterion("top1", baseline=0.8, absolute=0.2)
    verdict = section(model("int8", judged(evaluated, 4, criterion=wide)), criterion=wide)
    assert verdict.tolerance_images == pytest.approx(20)
    assert verdict.reasons[-1] == "A loss of 20 points is 20 of 100 images."
    agreed = Criterion("agreement", minimum=0.95)
    verdict = section(model("int8", judged(evaluated, 4, criterion=agreed)), criterion=agreed)
    assert verdict.tolerance_images == pytest.approx(5)
    certain = section(model("int8", judged(evaluated, 4, confidence=0.95)))
    assert certain.tolerance_images is None
    assert len(certain.reasons) == 1


def test_points_are_reported_as_points(evaluated: Evaluated) -> None:
    criterion = Criterion("top1", baseline=0.8, absolute=0.05)
    reason, _ = section(model("qdq", judged(evaluated, 4, criterion=criterion)), criterion=criterion).reasons
    assert reason.startswith("The QDQ model loses 4.00 points of top-1 (may lose 5.00 points)")


def test_agreement_is_reported_as_agreement(evaluated: Evaluated) -> None:
    criterion = Criterion("agreement", minimum=0.95)
    verdict = section(model("int8", judged(evaluated, 8, criterion=criterion)), criterion=criterion)
    assert verdict.status == "not met"
    assert verdict.reasons[0].startswith("The QLinear model has fp32's top-1 on 92.00 % (at least 95.0 % asked)")


def test_if_certainty_is_requested_too_few_images_are_inconclusive_and_the_number_needed_is_reported(
    evaluated: Evaluated,
) -> None:
    accuracy = judged(evaluated, 0, confidence=0.95)
    assert accuracy.judgement is not None
    needed = accuracy.judgement.deciding.images_needed
    verdict = section(model("int8", accuracy))
    assert (verdict.status, exit_code(verdict, None)) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert f"inconclusive at 95 % confidence ({would_settle(needed)})." in verdict.reasons[0]


def test_images_that_no_trial_saw_decide(evaluated: Evaluated) -> None:
    verdict = section(model("int8", judged(evaluated, 0), judged(evaluated, 9, n=50)))
    assert verdict.status == "not met"
    assert "on 50 images that no trial saw" in verdict.reasons[0]


def test_formats_that_disagree_fail_even_without_an_accuracy_criterion(evaluated: Evaluated) -> None:
    apart = FormatsSection(agreement=0.9949, required=0.995, largest_difference=0.1)
    for criterion in (CRITERION, Criterion("none")):
        verdict = section(model("int8", judged(evaluated, 0, criterion=criterion)), criterion=criterion, formats=apart)
        assert (verdict.status, exit_code(verdict, None)) == ("not met", ExitCode.NOT_MET)
        assert "The two formats disagree" in verdict.reasons[-1]


def test_a_model_that_is_fp32_again_is_met_with_nothing_gained(evaluated: Evaluated) -> None:
    verdict = section(model("int8", judged(evaluated, 0), size=4), layers=(0, 26), speed=timed("met", 1.0))
    assert (verdict.status, verdict.headline) == ("met", "met, nothing gained")
    assert exit_code(verdict, None) is ExitCode.DONE


def test_a_smaller_file_that_computes_in_fp32_is_smaller_not_faster(evaluated: Evaluated) -> None:
    verdict = section(model("int8", judged(evaluated, 0)), layers=(0, 26), speed=timed("met", 1.0))
    assert verdict.headline == "met, 0 of 26 layers compute in int8: smaller, not faster"


def test_what_a_cpu_allows_is_reported_if_more_is_requested(evaluated: Evaluated) -> None:
    speed = timed("not met", 1.0, asked=1.5)
    verdict = section(model("int8", judged(evaluated, 0), size=4), layers=(0, 26), speed=speed, fastest=1.02)
    assert (verdict.status, exit_code(verdict, None)) == ("not met", ExitCode.NOT_MET)
    assert "What this CPU (vnni) allows: 1.02x, by the fastest candidate" in " ".join(verdict.reasons)


@pytest.mark.parametrize(
    ("lost", "speed", "status", "code"),
    [
        (0, timed("met", 2.8), "met", ExitCode.DONE),
        (0, timed("not met", 0.73, slower=True), "not met", ExitCode.NOT_MET),
        (9, timed("met", 2.8), "not met", ExitCode.NOT_MET),
        (0, timed("inconclusive", 1.0), "inconclusive", ExitCode.INCONCLUSIVE),
        (9, timed("inconclusive", 1.0), "not met", ExitCode.NOT_MET),
        (0, timed("not measured for the target", 0.7, target="avx2"), "met", ExitCode.DONE),
        (0, timed("not asked", 0.7, asked=0.0, slower=True), "met", ExitCode.DONE),
    ],
)
def test_speed_belongs_to_the_verdict(
    evaluated: Evaluated, lost: int, speed: SpeedVerdict, status: str, code: ExitCode
) -> None:
    verdict = section(model("int8", judged(evaluated, lost)), speed=speed)
    assert (verdict.status, exit_code(verdict, None)) == (status, code)
    assert verdict.accuracy == ("not met" if lost else "met")


def test_a_file_that_is_too_slow_is_reported_with_its_interval_the_noise_and_the_criterion(
    evaluated: Evaluated,
) -> None:
    verdict = section(model("int8", judged(evaluated, 0)), speed=timed("not met", 0.73, slower=True))
    assert (
        "The QDQ model runs at 0.73x [0.72, 0.74] of fp32's speed (at least 1.00x asked, noise 0.5 %): not met."
        in verdict.reasons
    )


def test_speed_on_another_class_of_cpus_is_reported_as_saying_nothing(evaluated: Evaluated) -> None:
    speed = timed("not measured for the target", 0.73, slower=True, target="avx2")
    verdict = section(model("int8", judged(evaluated, 0)), speed=speed)
    assert "slower" not in verdict.headline
    assert any("says nothing of the target avx2" in reason for reason in verdict.reasons)


def test_how_many_layers_compute_in_int8_is_reported_if_some_do_not(evaluated: Evaluated) -> None:
    assert "20 of 26 layers compute in int8." in section(model("int8", judged(evaluated, 0)), layers=(20, 26)).reasons
    assert not any("compute in int8" in reason for reason in section(model("int8", judged(evaluated, 0))).reasons)


@pytest.mark.parametrize("lost", [0, 9])
@pytest.mark.parametrize("speed", [None, timed("met", 2.0), timed("not met", 0.7, slower=True)])
def test_a_run_never_says_that_it_ended_on_what_its_files_do_not_do(
    evaluated: Evaluated, lost: int, speed: SpeedVerdict | None
) -> None:
    verdict = section(model("int8", judged(evaluated, lost)), speed=speed, stopped="a candidate met the criterion")
    assert verdict.ended != "a candidate met the criterion"
    if lost:
        assert "do NOT meet the accuracy criterion" in verdict.text
        assert verdict.ended == "a trial met the accuracy criterion; the files that were written from it do not"
    else:
        assert verdict.ended == "a candidate met the accuracy criterion"


def test_verdicts_are_worded_as_before(evaluated: Evaluated) -> None:
    """QUANTIZE_UPDATE_GOLDEN=1 rewrites the golden file."""
    speeds: dict[str, SpeedVerdict | None] = {
        "not timed": None,
        "fast": timed("met", 2.86),
        "slower within the noise": timed("met", 0.98),
        "slow": timed("not met", 0.73, slower=True),
        "slow, half asked": timed("met", 0.73, asked=0.5, slower=True),
        "too slow for what is asked": timed("not met", 1.2, asked=1.5),
        "unsettled": timed("inconclusive", 1.0),
        "none asked": timed("not asked", 1.2, asked=0.0),
        "another target": timed("not measured for the target", 0.7, target="avx2"),
    }
    cases: list[tuple[str, int, float | None, str, tuple[int, int], int]] = [
        *[("accurate", 0, None, name, (26, 26), 1) for name in speeds],
        *[("not accurate", 9, None, name, (26, 26), 1) for name in speeds],
        *[("unsettled", 0, 0.95, name, (26, 26), 1) for name in ("fast", "slow", "slow, half asked", "unsettled")],
        *[("accurate", 0, None, name, (0, 26), size) for name in speeds for size in (1, 4)],
    ]
    lines = []
    for words, lost, confidence, name, layers, size in cases:
        accuracy = judged(evaluated, lost, confidence=confidence)
        verdict = section(model("int8", accuracy, size=size), layers=layers, speed=speeds[name])
        lines += [f"{words}; speed: {name}; {layers[0]} layers in int8; {size}/4 of the size"]
        lines += [f"  {verdict.headline}", f"  {verdict.text}", ""]
    drawn, golden = "\n".join(lines), Path(__file__).parent / "golden" / "verdicts.txt"
    if os.environ.get("QUANTIZE_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(drawn, encoding="utf-8")
    assert drawn == golden.read_text(encoding="utf-8")


def test_without_a_criterion_nothing_is_judged(evaluated: Evaluated) -> None:
    verdict = section(model("int8", baseline_accuracy(evaluated([False] * 5))), criterion=Criterion("none"))
    assert (verdict.status, verdict.reasons, exit_code(verdict, None)) == ("not asked", (), ExitCode.DONE)


def test_the_demonstration_says_what_it_does_not_prove(evaluated: Evaluated) -> None:
    verdict = section(model("int8", judged(evaluated, 0)), demonstration=True)
    assert verdict.status == "met"
    assert "20 photographs" in verdict.reasons[-1]
