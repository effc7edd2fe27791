"""Why a written model computes nothing on integers: its layers cannot, or integers were slower or less accurate."""

from __future__ import annotations

from quantize.engines.foreseen import foreseen, why_no_integers
from quantize.recipe import Recipe
from quantize.report.models import ModelSection
from quantize.report.search import PlacementSection, SearchSection
from quantize.report.wording import times
from quantize.run.build import Built
from quantize.run.settle import Settled


def reasons_for_no_integers(settled: Settled) -> tuple[str, ...]:
    """Return why no convolution or matrix product of the written models computes on integers; nothing where one does.

    Args:
        settled: The written files and what was found for them.
    """
    if any(_computes_on_integers(model) for model in settled.judged.models):
        return ()
    built = settled.built
    return tuple(f"No layer computes on integers: {why}." for why in _reasons(built, settled.placement))


def _computes_on_integers(model: ModelSection) -> bool:
    return bool(model.integer_share) or model.multiply_adds is None


def _reasons(built: Built, placement: PlacementSection | None) -> list[str]:
    recipe, model = built.chosen.recipe, built.context.model.proto()
    free = Recipe(engine="native", activation_type=recipe.activation_type, weight_type=recipe.weight_type)
    cannot = why_no_integers(foreseen(model, free))
    if cannot:
        return cannot
    asked = why_no_integers(foreseen(model, free.but(float_op_types=recipe.float_op_types)))
    if asked:
        return asked
    if placement is not None:
        return [placement.reason]
    if built.findings.search is not None and built.findings.search.candidates:
        return [_of_search(built.findings.search)]
    return ["the engine left every layer in float"]


def _of_search(search: SearchSection) -> str:
    """Return what became of a search's candidates on integers."""
    tried = [candidate for candidate in search.candidates if candidate.step != "stored"]
    if not tried:
        return "the search tried none that does: its budget was spent, or everything was asked to stay in float"
    failed = sum(candidate.met is None and candidate.speedup is None for candidate in tried)
    inaccurate = sum(candidate.met is False for candidate in tried)
    speeds = [candidate.speedup for candidate in tried if candidate.speedup is not None]
    became = [
        (count, words)
        for count, words in (
            (failed, "could not be built or run"),
            (inaccurate, "missed the accuracy criterion"),
            (len(speeds), f"measured at most {times(max(speeds, default=None))} as fast as fp32"),
        )
        if count
    ]
    if len(tried) == 1:
        return "the one candidate that does " + " and ".join(words for _, words in became)
    return f"of {len(tried)} candidates that do, " + ", ".join(f"{count} {words}" for count, words in became)
