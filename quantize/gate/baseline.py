"""An accepted run as a small, reviewable file that later runs are checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.errors import RunError
from quantize.files import write_text
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.figures import DROPS, FIGURES
from quantize.gate.machine import Machine, machine_of, target_of
from quantize.gate.verdict import RunVerdict, verdict_of
from quantize.similar_names import did_you_mean
from quantize.target import CpuClass

_DIGITS = 6


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AcceptedModel(_Block):
    """One model file of the accepted run.

    Attributes:
        graph_sha256: Its identity.
        figures: Figure name to value, as in the report, to six digits; figures that were not measured are left out.
        ops: Op type to number of nodes.
    """

    graph_sha256: str
    figures: dict[str, float]
    ops: dict[str, int]


class Baseline(_Block):
    """An accepted run.

    Attributes:
        schema_version: Of this form.
        created: When the run was made, UTC, ISO 8601.
        commit: Commit of the tool's checkout, if there was one.
        recipe_id: What the models were built from.
        source_weights: Hash over the fp32 model's weights.
        data_fingerprint: Hash over images and labels.
        preprocessing_fingerprint: Hash over the preprocessing.
        images: Images that accuracy was measured on.
        labelled: Whether they had labels.
        machine: Where it was measured.
        versions: Package name to version.
        run: Figures of the run as a whole.
        models: Role (``fp32``, ``int8``, ``qdq``) to model.
        target: Class of CPUs that the models are for; earlier baselines do not say so: for CPUs with VNNI.
        verdict: Whether the run met its own criterion; None in earlier baselines.
    """

    schema_version: Literal[1] = 1
    created: str
    commit: str | None
    recipe_id: str
    source_weights: str
    data_fingerprint: str
    preprocessing_fingerprint: str
    images: int
    labelled: bool
    machine: Machine
    versions: dict[str, str]
    run: dict[str, float]
    models: dict[str, AcceptedModel]
    target: CpuClass = "vnni"
    verdict: RunVerdict | None = None

    def figure(self, role: str, name: str) -> float | None:
        """Return a figure, see ``FIGURES``, of a model or of the ``run``; None if the baseline does not have it."""
        if role == "run":
            return self.run.get(name)
        model = self.models.get(role)
        return model.figures.get(name) if model is not None else None


def accepted(document: ReportDocument, *, where: str) -> Baseline:
    """Return a run as a baseline.

    Args:
        document: The run's report.
        where: Its name, for messages.

    Raises:
        RunError: The run was a quick one, or the report lacks what identifies a run.
    """
    if document.at("rough") is not None:
        raise RunError(
            "a quick run cannot be a baseline: its figures are rough",
            where=where,
            found="a run with --quick",
            expected="a full run",
            advice="run the same `quantize tune` without --quick, and accept that",
        )
    measured = {role: _figures(document, role) for role in ("fp32", *ROLES)}
    total = document.figure("", "tuning_time")
    values: dict[str, Any] = {
        "created": document.text("provenance", "created"),
        "commit": document.text("provenance", "tool", "git_commit"),
        "recipe_id": document.text("chosen", "recipe_id"),
        "source_weights": document.text("source", "weights_sha256"),
        "data_fingerprint": document.text("provenance", "data_fingerprint"),
        "preprocessing_fingerprint": document.text("provenance", "preprocessing_fingerprint"),
        "images": document.deciding("int8").at("evaluation", "n"),
        "labelled": document.at("data", "labelled"),
        "machine": machine_of(document),
        "target": target_of(document),
        "verdict": verdict_of(document),
        "versions": document.at("provenance", "versions"),
        "run": {"tuning_time": _rounded(total)} if total is not None else {},
        "models": {
            role: {
                "graph_sha256": document.model(role).text("graph_sha256"),
                "figures": figures,
                "ops": document.model(role).at("ops"),
            }
            for role, figures in measured.items()
        },
    }
    try:
        return Baseline.model_validate(values)
    except ValidationError as error:
        places = sorted({".".join(map(str, detail["loc"])) for detail in error.errors()})
        raise RunError(
            "this report cannot be a baseline: it is incomplete",
            where=where,
            found=f"nothing usable for {', '.join(places[:5])}",
            expected="a report.json as `quantize tune` wrote it",
            advice="run `quantize tune` again",
        ) from None


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline with sorted keys, one value a line, so that a review shows what changed and nothing else."""
    text = json.dumps(baseline.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        RunError: It is missing, not JSON, or not of this form.
    """
    try:
        return Baseline.model_validate_json(read_bounded(path, LARGEST_TEXT))
    except OSError as error:
        raise RunError(
            "the baseline cannot be read",
            where=str(path),
            found=str(error),
            expected="a file that `quantize baseline accept` wrote",
            advice=did_you_mean(path) or f"accept a run first: quantize baseline accept RUN --output {path}",
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RunError(
            "a baseline that this version cannot read",
            where=str(path),
            found=f"{place}: {first['msg']}",
            expected="a file that `quantize baseline accept` wrote",
            advice="accept a run again",
        ) from None


def _figures(document: ReportDocument, role: str) -> Mapping[str, float]:
    values = {}
    for figure in FIGURES.values():
        value = None if figure.of_run else document.figure(role, figure.name)
        if value is not None and not (role == "fp32" and figure.name in (*DROPS, "agreement", "kl", "speedup")):
            values[figure.name] = _rounded(value)
    return values


def _rounded(value: float) -> float:
    """Return a value to six digits, so that a file of figures stays readable."""
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) >= 1 else short
