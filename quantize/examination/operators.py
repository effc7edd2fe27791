"""What will tuning do with each operator, and does it come to a model that runs?"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto

from quantize.engines.constraints import asked_in_float
from quantize.engines.engine import Engine
from quantize.engines.foreseen import Foreseen, counted, float_sentences, foreseen, why_no_integers
from quantize.engines.task import BuildTask
from quantize.errors import QuantizeError
from quantize.examination.findings import Examination, Finding, not_checked, right, sentence, wrong
from quantize.formats import to_qdq, to_qlinear
from quantize.models.session import open_session
from quantize.report.integer_share import arithmetic_of
from quantize.report.wording import percent
from quantize.rewrites import apply_rewrites

_OPERATORS, _TRIAL = "operators", "trial build"


def examine_operators(nodes: Sequence[Foreseen], check: str = _OPERATORS) -> Examination:
    """Return what will be done with each operator, with a note on those that cannot compute on integers.

    Args:
        nodes: As an engine places them.
        check: Its name.
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
                check=check,
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
                check=check,
                severity="note",
                what="No layer can compute on integers: the models will be smaller, not faster.",
                sure="certain",
                evidence="; ".join(why),
                advice="Look at the reasons; a layer whose weights are constants could.",
            )
        )
    return right(check, "; ".join(parts) or "none computes with floats", *notes)


def examine_engine(engine: Engine, task: BuildTask, *, alone: bool = True) -> list[Examination]:
    """Build the first model that an engine's search builds, open both formats, and return what is done with each node.

    Args:
        engine: The engine.
        task: A few calibration images do: ranges are of no account here.
        alone: No other engine is examined; else the checks are named after this one.
    """
    named = "" if alone else f" ({engine.name})"
    model = task.model.proto()
    try:
        engine.require()
        first = engine.first(task)
        assert first.artifact is not None
        qlinear, *_ = both = _both_formats(first.artifact.proto(), task)
        for form in both:
            open_session(form.SerializeToString())
        stay = engine.stays_in_float(task.model, first.recipe, task.calibration, task.folder)
    except QuantizeError as error:
        trial = f"{_TRIAL}{named}"
        fails = Finding(
            check=trial,
            what=f"Tuning would fail: {error.problem}.",
            sure="certain",
            evidence="; ".join(filter(None, (error.where, error.found, error.expected))) or "it was tried",
            advice=sentence(error.advice) if error.advice else "Report it with the model.",
        )
        return [
            not_checked(f"{_OPERATORS}{named}", "see the trial build"),
            wrong(trial, "no model comes of it", fails),
        ]
    asked = asked_in_float(model, task.quantization)
    nodes = foreseen(model, qlinear, first.recipe, stay=stay, asked=asked, engine=engine.in_words)
    return [
        examine_operators(nodes, f"{_OPERATORS}{named}"),
        right(f"{_TRIAL}{named}", _integer_share(qlinear)),
    ]


def _both_formats(candidate: ModelProto, task: BuildTask) -> tuple[ModelProto, ModelProto, ModelProto]:
    """Return a candidate in QLinear format, and both formats of it as they will be written."""
    opset = max(12, task.model.opset)
    rewritten = apply_rewrites(to_qdq(candidate), task.rewrites)
    return to_qlinear(candidate, opset=opset), to_qlinear(rewritten, opset=opset), rewritten


def _integer_share(model: ModelProto) -> str:
    share = arithmetic_of(model).share
    if share is None:
        return "both formats open"
    return (
        f"both formats open; {percent(share, 1)} of the multiply-adds are on integers, "
        "before tuning puts back what is faster or nearer to fp32 in float"
    )
