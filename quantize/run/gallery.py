"""What both models say of the pictured images: their three likeliest classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantize.evaluation.inference import log_probabilities, open_scores, scores_of
from quantize.models.artifact import ModelArtifact
from quantize.processes.pool import available_cpus
from quantize.report.data import AnswerSection, FlipsSection
from quantize.report.flipped_images import names_of
from quantize.run.context import Context

_LIKELIEST = 3


def with_likeliest(context: Context, flips: FlipsSection, int8: ModelArtifact) -> FlipsSection:
    """Return flips whose pictured images have the three likeliest classes of fp32 and of the int8 file.

    Models of several labels give no class: theirs stay as they are.
    """
    pictured = {flip.id for flip in flips.shown if flip.thumbnail is not None}
    if context.model.contract.task == "labels" or not pictured:
        return flips
    fp32_answers, int8_answers = (_likeliest(context, model, pictured) for model in (context.model, int8))
    shown = tuple(
        flip.model_copy(
            update={"baseline_top3": fp32_answers.get(flip.id, ()), "candidate_top3": int8_answers.get(flip.id, ())}
        )
        for flip in flips.shown
    )
    return flips.model_copy(update={"shown": shown})


def _likeliest(context: Context, model: ModelArtifact, ids: set[str]) -> Mapping[str, tuple[AnswerSection, ...]]:
    crops = context.images.evaluation
    few = crops.subset([row for row, name in enumerate(crops.ids) if name in ids])
    session = open_scores(model, threads=available_cpus(), exact=context.exact)
    answers = {}
    for batch in context.batches(few):
        scores = scores_of(session, model.contract, batch.images)
        chances = np.exp(log_probabilities(scores, model.contract.scores))
        names = names_of(chances.shape[1])
        for name, row in zip(batch.ids, chances, strict=True):
            best = np.argsort(-row, kind="stable")[:_LIKELIEST]
            answers[name] = tuple(
                AnswerSection(
                    label=int(label), name=None if names is None else names[label], probability=float(row[label])
                )
                for label in best
            )
    return answers
