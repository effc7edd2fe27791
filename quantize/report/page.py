"""Pages from templates: every value is escaped, nothing is loaded from anywhere."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from quantize.report.characters import bounded


def page(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Its file among the templates.
        values: What it shows. Texts are escaped; a chart (an SVG that this tool drew) is taken as it is under the
            names ``chart`` and ``charts``.
    """
    style = resources.files("quantize.report").joinpath("templates/page.css").read_text("utf-8")
    return _environment().get_template(template).render(style=Markup(style), **values)  # noqa: S704 - our own file


def svg(chart: str) -> Markup:
    """Return a chart as markup; only ``quantize.report.charts`` makes them, and they escape what they write."""
    return Markup(chart)  # noqa: S704


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("quantize.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else bounded(str(value)),
    )
    environment.filters["svg"] = svg
    environment.filters["whole"] = escape  # escaped, but not cut
    return environment
