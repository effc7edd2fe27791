"""What the written files compute in float, and why: every layer with weights, and what cannot be on integers."""

from __future__ import annotations

from collections import Counter

from quantize.engines.constraints import asked_in_float
from quantize.engines.engine import engine_named
from quantize.engines.fates import fates, layers_on_integers
from quantize.engines.foreseen import ASKED, LEFT, foreseen
from quantize.engines.placement.placed_model import placed_nodes
from quantize.formats.float_reasons import sentences
from quantize.graph.nodes import WEIGHTED
from quantize.report.search import PlacementSection
from quantize.run.build import Built
from quantize.run.search import Findings

_CHECKED = "its values in int8 are not what its grids predict"
_BEFORE_CHECKED = "a layer that takes its values cannot be held to its int8 grids"


def operators_in_float(built: Built) -> tuple[str, ...]:
    """Return a sentence for each type and reason of the nodes without weights that cannot compute on integers.

    They are those that are named before tuning, of a candidate's graph: but for what a rewrite put on integers since,
    such as a function of one tensor that became a table.
    """
    context, recipe, model = built.context, built.chosen.recipe, built.context.model.proto()
    found = foreseen(
        model,
        built.steps[0].model,
        recipe,
        stay=built.stay,
        asked=asked_in_float(model, context.config.quantization),
        engine=engine_named(recipe.engine).in_words,
    )
    became = fates(model, built.rewritten.qlinear)
    cannot = [
        node
        for node in found
        if {node.fate, became.get(node.node, "float")} == {"float"}
        and not node.designed
        and node.op_type not in WEIGHTED
    ]
    return tuple(f"{sentence}." for sentence in sentences({node.node: built.stay[node.node] for node in cannot}))


def layers_in_float(built: Built, placement: PlacementSection | None) -> tuple[str, ...]:
    """Return a sentence for each type and reason of the layers that both files compute in float.

    Args:
        built: The written files.
        placement: Where their layers compute, where that was decided after the search.
    """
    model, why = built.context.model.proto(), _Reasons(built, placement)
    on_integers = layers_on_integers(model, built.rewritten.qlinear, built.left)
    found = Counter(
        (node.op_type, why.of(node.name)) for node in model.graph.node if not on_integers.get(node.name, True)
    )
    return tuple(
        f"{count} {op_type} {'stay' if count > 1 else 'stays'} in float: {words}."
        for (op_type, words), count in found.items()
    )


class _Reasons:
    """Why a layer is in float; the first that holds of those that no choice could change, then of the choices."""

    def __init__(self, built: Built, placement: PlacementSection | None) -> None:
        recipe, context = built.chosen.recipe, built.context
        self._built, self._recipe, self._placement = built, recipe, placement
        self._asked = asked_in_float(context.model.proto(), context.config.quantization)
        self._placed = set(placed_nodes(recipe) or ())
        check = built.layer_check
        self._wrong = {finding.layer for finding in check.to_float} if check is not None else set()

    def of(self, name: str) -> str:
        """Return why a layer is in float."""
        if name in self._built.stay:
            return self._built.stay[name].in_words
        if name in self._asked:
            return ASKED
        if name in self._wrong:
            return _CHECKED
        if name in self._placed or (name in self._recipe.stored_nodes and self._placement is not None):
            return self._placement.reason if self._placement is not None else "it was placed there"
        if name not in self._built.left and self._wrong:
            return _BEFORE_CHECKED
        engine = engine_named(self._recipe.engine).in_words
        if self._built.findings.search is not None:
            chosen = name in self._built.left
            return "the search chose so, by time and accuracy" if chosen else LEFT.format(engine=engine)
        return _of_trials(self._built.findings, engine)


def _of_trials(findings: Findings, engine: str) -> str:
    """Return why an engine that tries one candidate after the other left a layer in float that could be on integers."""
    before = [trial for trial in findings.trials if trial.index < findings.chosen.index and trial.repeats is None]
    failed = sum(trial.failure is not None for trial in before)
    became = [
        (count, words)
        for count, words in ((failed, "could not be built or run"), (len(before) - failed, "missed the criterion"))
        if count
    ]
    if not became:
        return LEFT.format(engine=engine)
    tried = " and ".join(f"{count} {words}" for count, words in became)
    return f"{engine} put it back: of the candidates before, {tried}"
