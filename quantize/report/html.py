"""The report as a self-contained page for screen, phone or paper, light or dark."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from quantize.report.advice import ConclusionSection
from quantize.report.charts import (
    accuracy_latency_chart,
    latency_chart,
    layers_chart,
    operator_nodes_chart,
    operator_types_chart,
)
from quantize.report.conclusion import conclusion
from quantize.report.criterion import VerdictSection
from quantize.report.data import FlipSection
from quantize.report.format_words import formats_sentence
from quantize.report.layer_map import COMPUTES, SHORT, layer_rows
from quantize.report.layer_picture import layer_picture
from quantize.report.layer_words import check_words
from quantize.report.lost_time import lost_time_sentence
from quantize.report.markdown import provenance_facts
from quantize.report.provenance import replay_sentences
from quantize.report.reproduce import REPLAY, run_command
from quantize.report.schema import RunReport
from quantize.report.tables import report_tables
from quantize.report.typesetting import typeset
from quantize.report.wording import NOTHING, one_line, times


def page(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Its file among the templates.
        values: What it shows. Texts are escaped; a chart (an SVG that this tool drew) is taken as it is under the
            names ``chart`` and ``charts``.
    """
    style, script = (_own(name) for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    values |= {"style": Markup(style), "script": Markup(script), "script_hash": f"sha256-{digest}"}  # noqa: S704  # nosec B704
    return _templates().get_template(template).render(**values)


@cache
def _own(name: str) -> str:
    """Return one of the files that every page holds: its style, and the script that its policy allows by its hash."""
    return resources.files("quantize.report").joinpath(f"templates/{name}").read_text("utf-8")


def svg(chart: str) -> Markup:
    """Return a chart as markup; only ``quantize.report.charts`` makes them, and they escape what they write."""
    return Markup(chart)  # noqa: S704  # nosec B704


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("quantize.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(str(value)),
    )
    environment.filters["svg"] = svg
    environment.filters["typeset"] = typeset
    environment.filters["command"] = lambda text: one_line(text, _LONGEST_COMMAND)
    environment.filters["whole"] = escape  # escaped, but not cut
    return environment


_LONGEST_COMMAND = 20_000
_JPEG = re.compile(r"/9j/[A-Za-z0-9+/]+={0,2}")  # base 64 of what every JPEG begins with


@dataclass(frozen=True)
class Chart:
    """A chart and what it says.

    Attributes:
        title: Its heading.
        svg: The drawing.
        note: How to read it.
    """

    title: str
    svg: str
    note: str


def html(report: RunReport) -> str:
    """Return the whole report as one HTML page that loads nothing."""
    flips, told, rows = report.flips, conclusion(report), layer_rows(report)
    return page(
        "report.html.jinja",
        title=f"{Path(report.source.path).name}: {report.verdict.headline}",
        model=Path(report.source.path).name,
        report=report,
        state=_state(report.verdict, told),
        conclusion=told,
        lost_time=lost_time_sentence(report.profile),
        layers=rows,
        layer_picture=layer_picture(rows),
        kinds={kind: text for kind, text in COMPUTES.items() if kind in {row.computes for row in rows}},
        short_kinds=SHORT,
        ms=lambda taken: NOTHING if taken is None else f"{taken / 1e6:.3f}",
        times=times,
        replay=replay_sentences(report.replay) if report.replay is not None else (),
        tables=report_tables(report),
        charts=charts(report),
        formats=None if report.formats is None else formats_sentence(report.formats, report.task),
        pictured=[flip for flip in (flips.shown if flips is not None else ()) if thumbnail(flip) is not None],
        flip_answers=flips is not None and any(flip.candidate_top3 for flip in flips.shown),
        listed=[flip for flip in (flips.shown if flips is not None else ()) if thumbnail(flip) is None],
        thumbnail=thumbnail,
        environment=environment_facts(report),
        provenance={name: fact for name, fact in provenance_facts(report).items() if name not in _IN_ENVIRONMENT},
        command=run_command(report),
        replay_command=REPLAY,
    )


_IN_ENVIRONMENT = ("versions", "instruction sets")
"""Facts of provenance that the page shows as the environment's."""


def _state(verdict: VerdictSection, told: ConclusionSection) -> str:
    """Return the colour of a verdict: what is slower than fp32, or is not to be shipped, is not shown as good."""
    state = {"met": "good", "not met": "bad", "inconclusive": "open"}.get(verdict.status, "plain")
    slower = verdict.speed is not None and bool(verdict.speed.slower)
    return "open" if state == "good" and (slower or told.decision != "ship int8") else state


def charts(report: RunReport) -> list[Chart]:
    """Return every chart that the report's figures allow."""
    drawings = [
        (
            "Accuracy against latency",
            accuracy_latency_chart(report),
            "Up and to the left is better. Points below the dashed line miss the tolerance.",
        )
    ]
    if report.measurement is not None:
        note = "Further left is faster. A long tail to the right comes from other work on the machine."
        drawings.append(("Latency of single runs", latency_chart(report.measurement), note))
    if report.profile is not None:
        note = "Measured with onnxruntime's profiler. An int8 operator counts as the fp32 operator that it replaces."
        drawings.append(("Time by operator type", operator_types_chart(report.profile), note))
        drawings.append(("Slowest nodes", operator_nodes_chart(report.profile), note))
    note = "Each layer's output against the same layer in fp32."
    if report.layer_check is not None:
        note = f"{note} {check_words(report.layer_check)}"
    drawings.append(("Error by layer", layers_chart(report.layers), note))
    return [Chart(title, drawn, note) for title, drawn, note in drawings if drawn is not None]


def thumbnail(flip: FlipSection) -> str | None:
    """Return a flipped image as the address of its picture, or None if the report has none."""
    if flip.thumbnail is None or not _JPEG.fullmatch(flip.thumbnail):
        return None
    return f"data:image/jpeg;base64,{flip.thumbnail}"


def environment_facts(report: RunReport) -> dict[str, str]:
    """Return where the figures were measured, name to text."""
    facts = dict(report.provenance.versions)
    facts["instruction sets"] = ", ".join(report.provenance.isa) or "none that int8 needs"
    if report.measurement is not None:
        place = report.measurement.environment
        facts |= {
            "processor": place.cpu_model,
            "cores": f"{place.usable_cores} of {place.logical_cores} usable",
            "system": f"{place.operating_system}, {place.architecture}",
            "threads": str(place.threads),
            "batch size": str(place.batch_size),
            "governor": place.governor or "unknown",
        }
    return facts
