"""What changed since the baseline, whether or not a tolerance speaks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from quantize.gate.baseline import AcceptedModel, Baseline
from quantize.gate.document import ROLES, ReportDocument
from quantize.gate.figures import FIGURES, Figure
from quantize.gate.limits import title_of
from quantize.gate.machine import machine_of, target_of
from quantize.gate.result import Difference
from quantize.gate.verdicts import verdict_of
from quantize.report.tables import NAMES
from quantize.report.wording import NOTHING

_SHORT = 12
_SAME = 1e-5


def differences(document: ReportDocument, baseline: Baseline) -> tuple[Difference, ...]:
    """Return everything that is not as in the baseline."""
    found = [*_versions(document, baseline), *_machine(document, baseline)]
    found += _texts("recipe", baseline.recipe_id, document.text("chosen", "recipe_id"))
    now = verdict_of(document)
    if baseline.verdict is not None and now is not None:
        found += _texts("what was asked", baseline.verdict.asked, now.asked)
        found += _texts("verdict", baseline.verdict.headline, now.headline)
    for role in ("fp32", *ROLES):
        accepted = baseline.models.get(role)
        if accepted is not None:
            found += _model(document, role, accepted)
    time = FIGURES["tuning_time"]
    found += _figure(time, "run", baseline.run.get(time.name), document.figure("run", time.name))
    return tuple(found)


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
        yield from _texts(f"{name}: graph", accepted.graph_sha256[:_SHORT], (graph or NOTHING)[:_SHORT])
    ops = model.at("ops")
    ops = ops if isinstance(ops, Mapping) else {}
    for op_type in sorted({*accepted.ops, *ops}):
        yield from _texts(f"{name}: {op_type} nodes", str(accepted.ops.get(op_type, 0)), str(ops.get(op_type, 0)))
    for figure in FIGURES.values():
        if not figure.of_run and (role != "fp32" or figure.name in accepted.figures):
            yield from _figure(figure, role, accepted.figures.get(figure.name), document.figure(role, figure.name))


def _figure(figure: Figure, role: str, before: float | None, now: float | None) -> Iterator[Difference]:
    if before is None and now is None:
        return
    if before is None or now is None or abs(before - now) > _SAME * max(abs(before), abs(now)):
        shown = (NOTHING if value is None else figure.shown(value) for value in (before, now))
        yield Difference(what=title_of(role, figure), baseline=next(shown), found=next(shown))


def _texts(what: str, before: str | None, now: str | None) -> Iterator[Difference]:
    if before != now:
        yield Difference(what=what, baseline=before or NOTHING, found=now or NOTHING)
