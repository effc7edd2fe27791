"""How much a run may lose: limits against fp32, and changes against the accepted baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quantize.config.document import Document
from quantize.config.nearest import nearest
from quantize.config.problem import Problem, dotted, error_of, in_file_order, shown
from quantize.config.pydantic_words import what_is_wrong
from quantize.config.yaml_file import read_document
from quantize.gate.figures import DROPS, FIGURES
from quantize.target import CpuClass

_CONFIDENT = (*DROPS, "agreement", "speedup", "top1", "top5")


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limit(_Block):
    """A limit of one figure within a run.

    Attributes:
        at_least: The lowest value that passes.
        at_most: The highest value that passes.
        relative: For drops: the largest share of fp32's accuracy that may be lost. For the size: the largest share of
            the fp32 file's size.
        points: For drops: the largest loss as a fraction of the images.
        confidence: One-sided certainty that the limit holds; None: the point estimate decides. A speed-up has to miss
            it by more than the noise of the measurement.
        classes: Classes of CPUs that it binds for; None: all.
    """

    at_least: float | None = None
    at_most: float | None = None
    relative: float | None = None
    points: float | None = None
    confidence: float | None = Field(default=None, gt=0.5, lt=1)
    classes: tuple[CpuClass, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _is_one_limit(self) -> Limit:
        given = [name for name in ("at_least", "at_most", "relative", "points") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("exactly one of at_least, at_most, relative and points is needed")
        return self


class Change(_Block):
    """How much worse than the accepted baseline a figure may be; better by more than that is reported too.

    Attributes:
        relative: As a share of the baseline's value.
        points: As a difference in the figure's own unit, for fractions a fraction of 1.
        confidence: One-sided certainty, for top1 and top5 only; the two runs' images are taken as unpaired.
        classes: Classes of CPUs that it binds for; None: all.
    """

    relative: float | None = Field(default=None, ge=0)
    points: float | None = Field(default=None, ge=0)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)
    classes: tuple[CpuClass, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _is_one_change(self) -> Change:
        if (self.relative is None) == (self.points is None):
            raise ValueError("exactly one of relative and points is needed")
        return self


Sameness = Literal["same", "any"]


class Identity(_Block):
    """What must be as in the baseline (or, for the files, as in the report) for figures to mean the same.

    Attributes:
        source: The fp32 model's weights.
        data: The evaluation images and their labels.
        preprocessing: How images become inputs.
        files: The model files next to the report are those that it speaks of.
    """

    source: Sameness = "same"
    data: Sameness = "same"
    preprocessing: Sameness = "same"
    files: Sameness = "same"


class Tolerances(_Block):
    """Everything that a check looks at; a figure that is not named is not checked.

    Attributes:
        version: Of this form.
        identity: What must be the same.
        criterion: Where no baseline says what was accepted, ``met``: the run must meet its own criterion; ``any``: its
            verdict is only reported.
        against_fp32: Figure to limit.
        against_baseline: Figure to change; the figures of fp32 itself are called ``fp32_top1``,
            ``fp32_top5`` and ``fp32_map``.
    """

    version: Literal[1] = 1
    identity: Identity = Identity()
    criterion: Literal["met", "any"] = "any"
    against_fp32: Mapping[str, Limit] = {}
    against_baseline: Mapping[str, Change] = {}

    @model_validator(mode="after")
    def _names_are_known(self) -> Tolerances:
        for block, names, known in (
            ("against_fp32", self.against_fp32, limitable()),
            ("against_baseline", self.against_baseline, changeable()),
        ):
            for name in names:
                if name not in known:
                    meant = nearest(name, known)
                    hint = f"; did you mean {meant}?" if meant else ""
                    raise ValueError(f"{block}.{name}: no such figure{hint} (there are {', '.join(known)})")
        for name, limit in self.against_fp32.items():
            _check_limit(name, limit)
        for name, change in self.against_baseline.items():
            if change.confidence is not None and name.removeprefix("fp32_") not in ("top1", "top5"):
                raise ValueError(f"against_baseline.{name}: confidence is for top1 and top5 only")
        return self


def limitable() -> tuple[str, ...]:
    """Return the figures that can have a limit within a run."""
    return tuple(FIGURES)


def changeable() -> tuple[str, ...]:
    """Return the figures that can be compared with a baseline."""
    return ("fp32_top1", "fp32_top5", "fp32_map", *FIGURES)


def read_tolerances(path: Path) -> Tolerances:
    """Read tolerances from YAML.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong: with file, line and key.
    """
    document = read_document(path)
    problems = list(document.problems)
    tolerances = Tolerances()
    try:
        tolerances = Tolerances.model_validate(document.values)
    except ValidationError as error:
        problems += [_problem(dict(detail), document) for detail in error.errors()]
    if problems:
        raise error_of(in_file_order(problems))
    return tolerances


def _check_limit(name: str, limit: Limit) -> None:
    is_drop = name in DROPS
    if is_drop and limit.relative is None and limit.points is None:
        raise ValueError(f"against_fp32.{name}: a drop takes relative or points")
    if not is_drop and limit.points is not None:
        raise ValueError(f"against_fp32.{name}: takes at_least or at_most, not points")
    if limit.relative is not None and not is_drop and name != "size":
        raise ValueError(f"against_fp32.{name}: takes at_least or at_most, not relative")
    if limit.confidence is not None and name not in _CONFIDENT:
        raise ValueError(f"against_fp32.{name}: there is no interval of this figure; leave confidence out")


def _problem(detail: Mapping[str, Any], document: Document) -> Problem:
    path = tuple(detail["loc"])
    is_key = detail["type"] == "extra_forbidden"
    what = "unknown key" if is_key else what_is_wrong(detail)
    told = f"{dotted(path)}: {what}" if path else what
    plain = not is_key and detail["type"] != "value_error"
    return Problem(document.where(path, key=is_key), told, found=shown(detail["input"]) if plain else None)
