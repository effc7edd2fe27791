"""Where the time of a run went."""

from __future__ import annotations

from quantize.report.section import Section


class StageSection(Section):
    """Seconds that a stage of the run took."""

    name: str
    seconds: float
