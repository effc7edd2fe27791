"""Values of flags that are no settings: read with the same kinds, refused in the same words."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from quantize.config.nearest import nearest
from quantize.config.problem import shown
from quantize.config.schema import choices_of, expected_of
from quantize.config.validation import what_is_wrong
from quantize.errors import ConfigError


def flag_value(flag: str, text: str | None, kind: Any) -> Any:
    """Return what a flag's text means, or None where the flag was not given.

    Args:
        flag: The flag, with its dashes.
        text: What was given.
        kind: One of ``quantize.config.values``, or a Literal.

    Raises:
        ConfigError: The text is no such value.
    """
    if text is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        meant = nearest(text, choices_of(kind))
        raise ConfigError(
            what_is_wrong(dict(error.errors()[0])),
            where=flag,
            found=shown(text),
            expected=expected_of(kind).text,
            advice=f"did you mean `{meant}`?" if meant else None,
        ) from None
