"""One model of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    rebuilt_by: Literal["squeezenet1.0"] | None = None
    unavailable: str | None = None

    @model_validator(mode="after")
    def _is_safe_and_whole(self) -> CatalogEntry:
        if self.addresses and self.sha256 is None:
            raise ValueError("an entry with addresses needs the file's sha256")
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
        """Name of the preprocessing preset, or None where there is none."""
        name = self.preprocessing.get("preset")
        return name if isinstance(name, str) else None

    def chosen_preprocessing(self) -> Preprocessing | None:
        """Return the preprocessing, sizes undecided, or None where the catalog does not know it."""
        return choose_preprocessing(self.preprocessing) if self.preprocessing else None
