"""What every block of settings has in common, and what a setting carries for its errors and its flag."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Block(BaseModel):
    """A block of settings: frozen, no key beyond its own, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


@dataclass(frozen=True)
class Expected:
    """What a setting takes, in words that finish the sentence "expected ...".

    Attributes:
        text: The words.
        metavar: What the flag's help shows in the value's place.
    """

    text: str
    metavar: str = "TEXT"


@dataclass(frozen=True)
class Flag:
    """A flag whose name is not the key's last name, or a key that has no flag.

    Attributes:
        name: The flag without its dashes, or None for no flag.
    """

    name: str | None
