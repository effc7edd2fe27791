"""Whether a run speaks of the models, images and preprocessing that it seems to speak of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quantize.gate.baseline import Baseline
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.result import Line, Verdict
from quantize.gate.tolerances import Tolerances
from quantize.report.tables import NAMES
from quantize.report.wording import percent

_SHORT = 12


@dataclass(frozen=True)
class FileFacts:
    """A model file as it lies in the run's folder.

    Attributes:
        sha256: Hash of its bytes.
        graph_sha256: Hash of the model without its metadata; None where it is no readable model.
        integer_share: Share of its multiply-adds in int8; None where that cannot be told.
    """

    sha256: str
    graph_sha256: str | None
    integer_share: float | None


Files = Mapping[str, FileFacts | None]
"""Role to file; None where there is no file."""


def identity_lines(
    document: ReportDocument, baseline: Baseline | None, tolerances: Tolerances, files: Files
) -> Iterator[Line]:
    """Yield a line for everything that has to be the same."""
    asked = tolerances.identity
    if baseline is not None:
        for kind, title, expected, path in (
            ("source", "fp32 model", baseline.source_weights, ("source", "weights_sha256")),
            ("data", "images and labels", baseline.data_fingerprint, ("provenance", "data_fingerprint")),
            (
                "preprocessing",
                "preprocessing",
                baseline.preprocessing_fingerprint,
                ("provenance", "preprocessing_fingerprint"),
            ),
        ):
            if getattr(asked, kind) == "same":
                yield _same(f"run.{kind}", title, expected, document.text(*path))
    if asked.files == "same":
        for role in ROLES:
            yield _file(document, role, files.get(role))


def _same(name: str, title: str, expected: str, found: str | None) -> Line:
    verdict: Verdict = "missing" if found is None else "pass" if found == expected else "fail"
    return Line(
        name=name,
        title=f"{title}: as in the baseline",
        baseline=expected[:_SHORT],
        found=found[:_SHORT] if found is not None else None,
        allowed="the same",
        verdict=verdict,
        note="figures of other inputs are not comparable; accept a new baseline if this is meant"
        if verdict == "fail"
        else None,
    )


def _file(document: ReportDocument, role: str, file: FileFacts | None) -> Line:
    model = document.model(role)
    said, measured = model.text("graph_sha256"), document.deciding(role).text("evaluation", "graph_sha256")

    def line(verdict: Verdict, note: str | None = None) -> Line:
        found = file.graph_sha256 if file is not None else None
        return Line(
            name=f"{role}.file",
            title=f"{NAMES[role]}: the file is the one that was measured",
            baseline=said[:_SHORT] if said is not None else None,
            found=found[:_SHORT] if found is not None else None,
            allowed="the report's graph hash",
            verdict=verdict,
            note=note,
        )

    if said is None or measured is None:
        return line("missing", "the report does not name its model")
    if said != measured:
        return line("fail", "the report's accuracy is another model's")
    if file is None:
        return line("missing", "there is no such file beside the report")
    if file.graph_sha256 is None:
        return line("fail", "the file is no model that can be read")
    if file.graph_sha256 != said:
        return line("fail", "the file is another model than the one that was measured")
    share = model.at("integer_share")
    if isinstance(share, int | float) and file.integer_share is not None and abs(share - file.integer_share) > 1e-6:
        return line("fail", f"{percent(file.integer_share)} of its multiply-adds are in int8, not {percent(share)}")
    return line("pass")
