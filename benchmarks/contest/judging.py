"""How near a contender's model is to fp32: its scores of the evaluation images, beside fp32's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from contest.bench import BATCH, Bench, Floats
from contest.cells import Near
from contest.contenders import CONTENDERS, Made
from quantize.evaluation.evaluation import Evaluation
from quantize.evaluation.fidelity import fidelity_of
from quantize.evaluation.inference import open_scores, scores_of
from quantize.evaluation.outcomes import outcomes_of
from quantize.models.artifact import ModelArtifact
from quantize.models.contract import model_contract
from quantize.models.input_form import in_form
from quantize.models.session import open_session
from quantize.provenance import sha256_file
from quantize.report.integer_share import arithmetic_of

Run = Callable[[Floats], Floats]


def judge(name: str, made: Made, bench: Bench) -> Near:
    """Return the cell of a contender's model, or the reason why there is none."""
    cell = Near(
        network=bench.name,
        contender=name,
        reason=made.reason,
        seconds=round(made.seconds, 1),
        fp32_sha256=bench.fp32.sha256,
        images=len(bench.evaluation),
        versions=_versions(name),
    )
    if made.file is None:
        return cell
    scores = _scores(made.file, bench)
    ids = tuple(str(at) for at in range(len(scores)))
    outcomes = outcomes_of(ids, scores, bench.truth)
    evaluation = Evaluation(name, scores.shape[1], outcomes, (), None, constant_output=False)
    near = fidelity_of(bench.reference, scores, bench.kind)
    ratios = near.signal / np.maximum(near.noise, 1e-30)
    known = {
        "file_sha256": sha256_file(made.file),
        "top1": None if bench.truth is None else evaluation.top_k(1).expected,
        "ties": evaluation.tied_share,
        "int8_share": _int8_share(made.file, bench),
    }
    if name != "fp32":
        known |= {
            "agreement": near.agreement,
            "kl": near.mean_kl,
            "decibel": float(10 * np.log10(np.median(ratios))),
        }
    return cell.model_copy(update=known)


def opened(file: Path, threads: int) -> Run:
    """Return what runs a model's file on one image as that file takes it, float32 (1, …), and gives its scores.

    The images come from ``fed``.
    """
    if file.suffix == ".onnx":
        session = open_session(file, threads=threads)
        name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
        return lambda image: session.run([output], {name: image})[0]
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()
    return lambda image: request.infer([image], share_inputs=True, share_outputs=True)[0]


def fed(file: Path, images: Floats) -> Floats:
    """Return images (N, C, H, W) in the layout and type that a file takes."""
    if file.suffix != ".onnx":
        return images
    return in_form(ModelArtifact.load(file).contract, images)


def _scores(file: Path, bench: Bench) -> Floats:
    if file.suffix == ".onnx":
        model = ModelArtifact.load(file)
        session = open_scores(model)
        starts = range(0, len(bench.evaluation), BATCH)
        return np.concatenate([scores_of(session, model.contract, bench.evaluation[at : at + BATCH]) for at in starts])
    run = opened(file, 1)
    return np.concatenate([np.array(run(image[None])).reshape(1, -1) for image in bench.evaluation])


def _int8_share(file: Path, bench: Bench) -> float | None:
    if file.suffix != ".onnx":
        return None
    model = ModelArtifact.load(file)
    return arithmetic_of(model.proto(), image=model_contract(bench.fp32.proto()).image_size).share


def _versions(name: str) -> dict[str, str]:
    known = {}
    for package in CONTENDERS[name].packages if name in CONTENDERS else ():
        try:
            known[package] = version(package)
        except PackageNotFoundError:
            continue
    return known
