"""What all sections of a report have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a report: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
