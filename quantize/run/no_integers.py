"""Why a written model computes nothing on integers: its layers cannot, or integers were slower or less accurate."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.engines.constraints import asked_in_float
from quantize.engines.fates import layers_on_integers
from quantize.engines.foreseen import ASKED, Foreseen, float_sentences
from quantize.engines.placement.placed_model import int8_layers
from quantize.graph.nodes import WEIGHTED, is_op
from quantize.report.search import CandidateSection, PlacementSection
from quantize.report.wording import times
from quantize.run.build import Built
from quantize.run.settle import Settled


def reasons_for_no_integers(settled: Settled) -> tuple[str, ...]:
    """Return why no convolution or matrix product of the written models computes on integers; nothing where one does.

    Args:
        settled: The written files and what was found for them.
    """
    built = settled.built
    if _on_integers(built):
        return ()
    return tuple(f"No layer computes on integers: {why}." for why in _reasons(built, settled.placement))


def _on_integers(built: Built) -> bool:
    return any(layers_on_integers(built.context.model.proto(), built.rewritten.qlinear, built.left).values())


def _reasons(built: Built, placement: PlacementSection | None) -> list[str]:
    model = built.context.model.proto()
    asked = asked_in_float(model, built.context.config.quantization)
    weighted = [node for node in model.graph.node if is_op(node, *WEIGHTED)]
    if not weighted:
        return ["it has no convolution or matrix product"]
    if all(node.name in built.stay or node.name in asked for node in weighted):
        why = {node.name: built.stay[node.name].in_words if node.name in built.stay else ASKED for node in weighted}
        return float_sentences(Foreseen(node.name, node.op_type, "float", why[node.name]) for node in weighted)
    if placement is not None:
        return [placement.reason]
    search = built.findings.search
    if search is not None and search.candidates:
        recipes = {trial.recipe.id: trial.recipe for trial in built.findings.trials}
        in_float = {name for name, recipe in recipes.items() if not int8_layers(recipe, model, built.stay)[0]}
        return [_of_search([candidate for candidate in search.candidates if candidate.recipe_id not in in_float])]
    return ["the engine left every layer in float"]


def _of_search(tried: Sequence[CandidateSection]) -> str:
    """Return what became of a search's candidates on integers."""
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
