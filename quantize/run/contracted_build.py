"""From a search to its written files, with the input that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantize.criterion import Criterion
from quantize.data.batches import Batches
from quantize.engines.engine import engine_named
from quantize.report.input_contract import InputContractSection
from quantize.report.layers import LayerErrorSection
from quantize.run.build import Built, build
from quantize.run.context import Context
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder
from quantize.run.input_contract import contracted
from quantize.run.layer_error import layer_errors
from quantize.run.ratios import Ratios
from quantize.run.search import Found

_LAYER_IMAGES = 16


@dataclass(frozen=True)
class Written:
    """The files of one search.

    Attributes:
        context: The run; its model and preprocessing are those of the files' input.
        selection: Evaluates them on the images that trials saw.
        built: The files and what they come from.
        contract: Their input, where it is another than the given model's.
        layers: Error of each layer.
    """

    context: Context
    selection: Evaluator
    built: Built
    contract: InputContractSection | None
    layers: tuple[LayerErrorSection, ...]


def write(
    context: Context,
    found: Found,
    criterion: Criterion,
    selection: Evaluator,
    ratios: Ratios,
    folder: RunFolder | None = None,
) -> Written:
    """Give the candidate its input, rewrite it and write both formats.

    Args:
        context: The run.
        found: The search.
        criterion: What was asked.
        selection: Evaluates on the images that trials saw.
        ratios: Speed ratios of rewrites.
        folder: Where the files go; None: where the run's go.
    """
    assert found.chosen.artifact is not None
    with context.stages.stage("error by layer"):
        layers = _layers(context, found)
    folded = contracted(context, found.chosen.artifact, found.chosen.recipe)
    if folded.section is not None:
        selection = folded.context.evaluator(folded.context.images.evaluation, "evaluation-contract")
        selection.evaluate_baseline(folded.context.model)
    into = folded.context if folder is None else replace(folded.context, folder=folder)
    built = build(into, folded.candidate, found, criterion, selection, ratios)
    return Written(into, selection, built, folded.section, layers)


def _layers(context: Context, found: Found) -> tuple[LayerErrorSection, ...]:
    assert found.chosen.artifact is not None
    crops, size = context.images.evaluation, context.model.contract.fixed_batch or 1
    # A large batch takes more images than the others, or too few of them over and over.
    count = max(min(_LAYER_IMAGES, len(crops)) // size, 1) * size
    whole = Batches(crops.subset([at % len(crops) for at in range(count)]), context.images.preprocessing, size)
    recipe = found.chosen.recipe
    reference = engine_named(recipe.engine).reference(context.model.proto(), recipe)
    return layer_errors(reference, found.chosen.artifact.proto(), whole)
