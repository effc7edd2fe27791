from __future__ import annotations

import pytest

from quantize.api.accuracy import baseline_accuracy, candidate_accuracy
from quantize.api.verdict import exit_code, verdict_section
from quantize.engines.protocols import Goal
from quantize.errors import ExitCode
from quantize.recipe import Recipe
from quantize.report.criterion import VerdictSection
from quantize.report.models import AccuracySection, FormatsSection, ModelSection, Role
from quantize.report.trials import ChosenSection
from tests.api.conftest import Evaluated

GOAL = Goal("top1", baseline=0.8, relative=0.01)
AGREED = FormatsSection(agreement=1.0, required=0.995, largest_difference=0.0)


def model(role: Role, selection: AccuracySection, certification: AccuracySection | None = None) -> ModelSection:
    return ModelSection(
        role=role,
        file=f"{role}.onnx",
        sha256="0" * 64,
        graph_sha256="1" * 64,
        bytes=1,
        opset=13,
        ops={},
        selection=selection,
        certification=certification,
    )


def judged(
    evaluated: Evaluated, lost: int, *, n: int = 100, goal: Goal = GOAL, confidence: float | None = None
) -> AccuracySection:
    """Return the section of a candidate that loses ``lost`` of the four in five images that fp32 has right."""
    right = [number < n * 4 // 5 for number in range(n)]
    kept = [number < n * 4 // 5 - lost for number in range(n)]
    agreements = [float(first == second) for first, second in zip(right, kept, strict=True)]
    labelled = goal.metric != "agreement"
    return candidate_accuracy(
        evaluated(right, labelled=labelled),
        evaluated(kept, labelled=labelled, agreements=agreements),
        goal=goal,
        confidence=confidence,
        seed=1,
    )


def section(
    *models: ModelSection,
    goal: Goal = GOAL,
    formats: FormatsSection | None = AGREED,
    all_fp32: bool = False,
    demonstration: bool = False,
) -> VerdictSection:
    recipe = Recipe(engine="inc")
    chosen = ChosenSection(trial=0, recipe_id=recipe.id, recipe=recipe, all_fp32=all_fp32)
    return verdict_section(goal, models, formats, chosen, stopped_because="it ended", demonstration=demonstration)


@pytest.mark.parametrize(
    ("losses", "status", "code"),
    [((0, 0), "met", ExitCode.DONE), ((0, 9), "not met", ExitCode.NOT_MET), ((9, 0), "not met", ExitCode.NOT_MET)],
)
def test_both_files_have_to_meet_the_criterion(
    evaluated: Evaluated, losses: tuple[int, int], status: str, code: ExitCode
) -> None:
    found = section(model("int8", judged(evaluated, losses[0])), model("qdq", judged(evaluated, losses[1])))
    assert (found.status, exit_code(found, None)) == (status, code)
    assert len(found.reasons) == 3


def test_a_reason_tells_the_model_the_figure_the_tolerance_and_the_images(evaluated: Evaluated) -> None:
    reason, worth = section(model("int8", judged(evaluated, 4))).reasons
    assert reason.startswith("The QLinear model loses 5.00 % of fp32's top-1 (may lose 1.00 %) on 100 images")
    assert "not met by the point estimate" in reason
    assert worth == "The tolerance is worth 0.8 of the 100 images: a few images decide."


def test_the_tolerance_is_told_in_images_where_the_point_estimate_decides(evaluated: Evaluated) -> None:
    wide = Goal("top1", baseline=0.8, absolute=0.2)
    found = section(model("int8", judged(evaluated, 4, goal=wide)), goal=wide)
    assert found.tolerance_images == pytest.approx(20)
    assert found.reasons[-1] == "The tolerance is worth 20.0 of the 100 images."
    agreed = Goal("agreement", minimum=0.95)
    found = section(model("int8", judged(evaluated, 4, goal=agreed)), goal=agreed)
    assert found.tolerance_images == pytest.approx(5)
    certain = section(model("int8", judged(evaluated, 4, confidence=0.95)))
    assert certain.tolerance_images is None
    assert len(certain.reasons) == 1


def test_points_are_told_as_points(evaluated: Evaluated) -> None:
    goal = Goal("top1", baseline=0.8, absolute=0.05)
    reason, _ = section(model("qdq", judged(evaluated, 4, goal=goal)), goal=goal).reasons
    assert reason.startswith("The QDQ model loses 4.00 points of top-1 (may lose 5.00 points)")


def test_agreement_is_told_as_agreement(evaluated: Evaluated) -> None:
    goal = Goal("agreement", minimum=0.95)
    found = section(model("int8", judged(evaluated, 8, goal=goal)), goal=goal)
    assert found.status == "not met"
    assert found.reasons[0].startswith("The QLinear model has fp32's top-1 on 92.00 % (at least 95.0 % asked)")


def test_where_certainty_is_asked_too_few_images_are_inconclusive_and_the_number_needed_is_told(
    evaluated: Evaluated,
) -> None:
    accuracy = judged(evaluated, 0, confidence=0.95)
    assert accuracy.judgement is not None
    needed = accuracy.judgement.deciding.images_needed
    found = section(model("int8", accuracy))
    assert (found.status, exit_code(found, None)) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert f"inconclusive at 95 % confidence (about {needed:,} images would settle it)." in found.reasons[0]


def test_images_that_no_trial_saw_decide(evaluated: Evaluated) -> None:
    found = section(model("int8", judged(evaluated, 0), judged(evaluated, 9, n=50)))
    assert found.status == "not met"
    assert "on 50 images that no trial saw" in found.reasons[0]


def test_formats_that_disagree_fail_even_where_no_accuracy_is_asked(evaluated: Evaluated) -> None:
    apart = FormatsSection(agreement=0.9949, required=0.995, largest_difference=0.1)
    for goal in (GOAL, Goal("none")):
        found = section(model("int8", judged(evaluated, 0, goal=goal)), goal=goal, formats=apart)
        assert (found.status, exit_code(found, None)) == ("not met", ExitCode.NOT_MET)
        assert "The two formats disagree" in found.reasons[-1]


def test_a_model_that_is_fp32_again_does_not_meet_the_criterion(evaluated: Evaluated) -> None:
    found = section(model("int8", judged(evaluated, 0)), all_fp32=True)
    assert found.status == "not met"
    assert "nothing is quantized" in found.reasons[-1]


def test_without_a_criterion_nothing_is_judged(evaluated: Evaluated) -> None:
    found = section(model("int8", baseline_accuracy(evaluated([False] * 5))), goal=Goal("none"))
    assert (found.status, found.reasons, exit_code(found, None)) == ("not asked", (), ExitCode.DONE)


def test_the_demonstration_says_what_it_does_not_prove(evaluated: Evaluated) -> None:
    found = section(model("int8", judged(evaluated, 0)), demonstration=True)
    assert found.status == "met"
    assert "20 photographs" in found.reasons[-1]
