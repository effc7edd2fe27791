"""What will tuning do with each operator, and does it come to a model that runs?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnx import ModelProto

from quantize.engines.foreseen import Foreseen, counted, float_sentences, why_no_integers
from quantize.engines.native.search.source_graph import rebuild
from quantize.engines.task import CalibrationSet
from quantize.errors import QuantizeError
from quantize.examination.findings import Examination, Finding, right, sentence, wrong
from quantize.formats import to_qlinear
from quantize.models.artifact import ModelArtifact
from quantize.models.session import open_session
from quantize.recipe import Recipe
from quantize.report.integer_share import arithmetic_of
from quantize.report.wording import percent

_OPERATORS, _TRIAL = "operators", "trial build"


def examine_operators(nodes: Sequence[Foreseen]) -> Examination:
    """Return what will be done with each operator, with a note on those that cannot compute on integers.

    Args:
        nodes: As a search foresees them.
    """
    integers, moved = ([node for node in nodes if node.fate == fate] for fate in ("integers", "moved"))
    stay = [node for node in nodes if node.fate == "float"]
    parts = [
        f"{words}: {counted(group)}"
        for words, group in (("on integers", integers), ("moved as integers", moved))
        if group
    ]
    parts += [f"in float: {words}" for words in float_sentences(stay)]
    notes = []
    cannot = [node for node in stay if not node.designed]
    if cannot:
        notes.append(
            Finding(
                check=_OPERATORS,
                severity="note",
                what="Some operators stay in float: they cannot compute on integers here.",
                sure="certain",
                evidence="; ".join(float_sentences(cannot)),
                advice="Expect less speed-up where they stand between convolutions: `quantize benchmark --profile` "
                "says what they cost.",
            )
        )
    why = why_no_integers(nodes)
    if why:
        notes.append(
            Finding(
                check=_OPERATORS,
                severity="note",
                what="No layer can compute on integers: the models will be smaller, not faster.",
                sure="certain",
                evidence="; ".join(why),
                advice="Look at the reasons; a layer whose weights are constants could.",
            )
        )
    return right(_OPERATORS, "; ".join(parts) or "none computes with floats", *notes)


def examine_building(
    model: ModelArtifact, recipe: Recipe, calibration: CalibrationSet, folder: Path, *, threads: int
) -> Examination:
    """Build a model of the recipe in both formats and open them, as tuning will do it, and return what came of it.

    Args:
        model: The prepared fp32 model.
        recipe: What a search begins with.
        calibration: A few images: ranges are of no account here.
        folder: For its files.
        threads: Cores that may be used.
    """
    try:
        qdq = rebuild(model, recipe, calibration, folder, threads=threads)
        qlinear = to_qlinear(qdq.proto(), opset=max(12, model.opset))
        for content in (qdq.path, qlinear.SerializeToString()):
            open_session(content)
    except QuantizeError as error:
        return wrong(
            _TRIAL,
            "no model comes of it",
            Finding(
                check=_TRIAL,
                what=f"Tuning would fail: {error.problem}.",
                sure="certain",
                evidence="; ".join(filter(None, (error.where, error.found, error.expected))) or "it was tried",
                advice=sentence(error.advice) if error.advice else "Report it with the model.",
            ),
        )
    return right(_TRIAL, _integer_share(qlinear))


def _integer_share(model: ModelProto) -> str:
    share = arithmetic_of(model).share
    if share is None:
        return "both formats open"
    return f"both formats open; {percent(share, 1)} of the multiply-adds are on integers"
