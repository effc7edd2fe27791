"""Write the chosen candidate in both formats, compare them, and stamp them with the run's facts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from quantize.data.batches import Batches
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.inference import open_scores, scores_of
from quantize.evaluation.label_outcomes import threshold
from quantize.evaluation.outcomes import Floats, Scores
from quantize.formats.exact import with_unsigned_weights
from quantize.formats.float_weights import guard_float_layers
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact, ModelContract, save_model
from quantize.models.ending import Ending
from quantize.models.given_form import GivenForm
from quantize.models.session import open_session
from quantize.report.metadata import facts, stamped
from quantize.report.models import FormatsSection, ModelSection
from quantize.report.schema import RunReport
from quantize.rewrites import Rewritten
from quantize.run.folder import RunFolder
from quantize.target import CpuClass, must_not_saturate

REQUIRED_AGREEMENT = 0.995


@dataclass(frozen=True)
class Pair:
    """The two written files of one decision.

    Attributes:
        int8: The QLinear file.
        qdq: The QDQ file.
    """

    int8: ModelArtifact
    qdq: ModelArtifact


def finished(rewritten: Rewritten, target: CpuClass) -> Rewritten:
    """Return both formats as they are written: see ``finished_model``."""
    qlinear, qdq = (finished_model(model, target) for model in (rewritten.qlinear, rewritten.qdq))
    return replace(rewritten, qlinear=qlinear, qdq=qdq)


def finished_model(model: onnx.ModelProto, target: CpuClass) -> onnx.ModelProto:
    """Return a copy of a model with the last touches of its file.

    Layers in fp32 stay so: onnxruntime would quantize them again on opening. Layers whose sums could leave 16 bits get
    weights of uint8 where the target must not have any: rewrites and the input's contract may have made such weights.
    """
    result = onnx.ModelProto.FromString(model.SerializeToString())
    guard_float_layers(result)
    if must_not_saturate(target) and saturating_layers(result):
        return with_unsigned_weights(result, only_saturating=True)
    return result


def write_pair(
    rewritten: Rewritten,
    run: RunFolder,
    ending: Ending | None = None,
    form: GivenForm | None = None,
    *,
    own_input: bool = False,
) -> Pair:
    """Write the QLinear and the QDQ file, both checked by onnx and opened by onnxruntime.

    Args:
        rewritten: Both formats, with the input and the scores of a prepared model.
        run: Where they go.
        ending: What the given file gives beyond scores; the files end the same.
        form: The layout and the types that it takes and gives, as the files do.
        own_input: Whether their input is that of an input contract, and stays.

    Raises:
        UnopenedModelError: onnxruntime does not open one of them; neither is written.
    """
    models = [model if ending is None else ending.attached(model) for model in (rewritten.qlinear, rewritten.qdq)]
    models = [model if form is None else form.applied(model, own_input=own_input) for model in models]
    for model in models:
        onnx.checker.check_model(model, full_check=True)
    for model in models:
        open_session(model.SerializeToString())
    return Pair(int8=save_model(models[0], run.int8), qdq=save_model(models[1], run.qdq))


def compare_formats(pair: Pair, batches: Batches, *, threads: int) -> FormatsSection:
    """Run both files on the same images and return how far they agree: the same answer on 99.5 % is required.

    What is compared is the graphs: neither saturates, whatever this CPU would make of them.
    """
    sessions = [(open_scores(model, threads=threads, exact=True), model.contract) for model in (pair.int8, pair.qdq)]
    agreed, seen, largest = 0.0, 0, 0.0
    for batch in batches:
        first, second = (scores_of(session, contract, batch.images) for session, contract in sessions)
        agreed += float(_alike(first, second, pair.int8.contract).sum())
        seen += len(first)
        largest = max(largest, float(np.abs(first - second).max()))
    return FormatsSection(agreement=agreed / seen, required=REQUIRED_AGREEMENT, largest_difference=largest, images=seen)


def _alike(first: Scores, second: Scores, contract: ModelContract) -> Floats:
    """Return float64 (N,), the chance that two models say the same; scores that tie the same way do for certain."""
    agreements = fidelity_of(first, second, contract.scores, contract.task).agreements
    if contract.task == "labels":
        middle = threshold(contract.scores)
        same = np.sign(first - middle) == np.sign(second - middle)
    else:
        same = (first == first.max(axis=1, keepdims=True)) == (second == second.max(axis=1, keepdims=True))
    return np.where(same.all(axis=1), 1.0, agreements)


def stamp_models(report: RunReport, run: RunFolder) -> RunReport:
    """Write each model's facts into its file, and return the report with the files' new hashes and sizes.

    Raises:
        RuntimeError: Writing changed more than the metadata, which is a bug.
    """
    models = tuple(_stamp(report, section, run) for section in report.models)
    baseline = report.baseline if run.fp32 is None else _stamp(report, report.baseline, run)
    return report.model_copy(update={"models": models, "baseline": baseline})


def stamp_all(report: RunReport, folder: RunFolder) -> RunReport:
    """Write the facts into the models of the run and into the other engines'."""
    own = stamp_models(report, folder)
    engines = []
    for engine in report.engines:
        if engine.written:
            models = own.models
        else:
            models = stamp_models(report.of_engine(engine), replace(folder, fp32=None)).models
        engines.append(engine.model_copy(update={"models": models}))
    return own.model_copy(update={"engines": tuple(engines)})


def _stamp(report: RunReport, section: ModelSection, run: RunFolder) -> ModelSection:
    path = run.path / section.file
    written = save_model(stamped(ModelArtifact.load(path).proto(), facts(report, section.role)), path)
    if written.graph_sha256 != section.graph_sha256:
        raise RuntimeError(f"{path}: the graph changed while its metadata were written")
    return section.model_copy(update={"sha256": written.sha256, "bytes": written.bytes})
