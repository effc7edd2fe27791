"""What all sections of a report have in common."""

from __future__ import annotations

from pydantic import ConfigDict

from quantize.brief_repr import BriefModel


class Section(BriefModel):
    """A part of a report: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
