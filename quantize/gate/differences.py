"""What must equal the accepted run, and everything that differs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quantize.gate.baseline import AcceptedModel, Baseline
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.figures import FIGURES, Figure, title_of
from quantize.gate.machine import machine_of, target_of
from quantize.gate.result import Difference, Line, Verdict
from quantize.gate.tolerances import Tolerances
from quantize.gate.verdict import verdict_of
from quantize.report.table import NAMES
from quantize.report.wording import NOTHING, percent

_HASH_DIGITS = 12


@dataclass(frozen=True)
class FileFacts:
    """A model file as it lies in the run's folder.

    Attributes:
        graph_sha256: Hash of the model without its metadata; None if it is no readable model.
        integer_share: Share of its multiply-adds in int8; None if unknown.
    """

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


def _same(name: str, title: str, expected: str, actual: str | None) -> Line:
    verdict: Verdict = "missing" if actual is None else "pass" if actual == expected else "fail"
    return Line(
        name=name,
        title=f"{title}: as in the baseline",
        baseline=expected[:_HASH_DIGITS],
        found=actual[:_HASH_DIGITS] if actual is not None else None,
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
        graph = file.graph_sha256 if file is not None else None
        return Line(
            name=f"{role}.file",
            title=f"{NAMES[role]}: the file is the one that was measured",
            baseline=said[:_HASH_DIGITS] if said is not None else None,
            found=graph[:_HASH_DIGITS] if graph is not None else None,
            allowed="the report's graph hash",
            verdict=verdict,
            note=note,
        )

    if said is None or measured is None:
        return line("missing", "the report does not name its model")
    if said != measured:
        return line("fail", "the report's accuracy is another model's")
    if file is None:
        return line("missing", "file not found beside the report")
    if file.graph_sha256 is None:
        return line("fail", "not a readable model")
    if file.graph_sha256 != said:
        return line("fail", "not the model that was measured")
    share = model.at("integer_share")
    if isinstance(share, int | float) and file.integer_share is not None and abs(share - file.integer_share) > 1e-6:
        return line("fail", f"{percent(file.integer_share)} of its multiply-adds are in int8, not {percent(share)}")
    return line("pass")


_SAME = 1e-5


def differences(document: ReportDocument, baseline: Baseline) -> tuple[Difference, ...]:
    """Return everything that is not as in the baseline."""
    changes = [*_versions(document, baseline), *_machine(document, baseline)]
    changes += _texts("recipe", baseline.recipe_id, document.text("chosen", "recipe_id"))
    now = verdict_of(document)
    if baseline.verdict is not None and now is not None:
        changes += _texts("what was asked", baseline.verdict.asked, now.asked)
        changes += _texts("verdict", baseline.verdict.headline, now.headline)
    for role in ("fp32", *ROLES):
        accepted = baseline.models.get(role)
        if accepted is not None:
            changes += _model(document, role, accepted)
    time = FIGURES["tuning_time"]
    changes += _figure(time, "run", baseline.run.get(time.name), document.figure("run", time.name))
    return tuple(changes)


def _versions(document: ReportDocument, baseline: Baseline) -> Iterator[Difference]:
    here = document.at("provenance", "versions")
    here = here if isinstance(here, Mapping) else {}
    for name in sorted({*baseline.versions, *here}):
        before, now = baseline.versions.get(name, NOTHING), str(here.get(name, NOTHING))
        yield from _texts(f"version of {name}", before, now)


def _machine(document: ReportDocument, baseline: Baseline) -> Iterator[Difference]:
    here, there = machine_of(document), baseline.machine
    yield from _texts("instruction sets", ", ".join(there.isa), ", ".join(here.isa))
    yield from _texts("class of CPUs", str(there.known_class), str(here.known_class))
    yield from _texts("target", baseline.target, target_of(document))
    for field, title in (("cpu_model", "processor"), ("logical_cores", "cores"), ("threads", "threads")):
        yield from _texts(title, str(getattr(there, field)), str(getattr(here, field)))


def _model(document: ReportDocument, role: str, accepted: AcceptedModel) -> Iterator[Difference]:
    model, name = document.model(role), NAMES[role]
    graph = model.text("graph_sha256")
    if graph != accepted.graph_sha256:
        yield from _texts(f"{name}: graph", accepted.graph_sha256[:_HASH_DIGITS], (graph or NOTHING)[:_HASH_DIGITS])
    ops = model.at("ops")
    ops = ops if isinstance(ops, Mapping) else {}
    for op_type in sorted({*accepted.ops, *ops}):
        yield from _texts(f"{name}: {op_type} nodes", str(accepted.ops.get(op_type, 0)), str(ops.get(op_type, 0)))
    for figure in FIGURES.values():
        if not figure.of_run and (role != "fp32" or figure.name in accepted.figures):
            title = title_of(role, figure, document)
            yield from _figure(figure, title, accepted.figures.get(figure.name), document.figure(role, figure.name))


def _figure(figure: Figure, title: str, before: float | None, now: float | None) -> Iterator[Difference]:
    if before is None and now is None:
        return
    if before is None or now is None or abs(before - now) > _SAME * max(abs(before), abs(now)):
        shown = (NOTHING if value is None else figure.shown(value) for value in (before, now))
        yield Difference(what=title, baseline=next(shown), found=next(shown))


def _texts(what: str, before: str | None, now: str | None) -> Iterator[Difference]:
    if before != now:
        yield Difference(what=what, baseline=before or NOTHING, found=now or NOTHING)
