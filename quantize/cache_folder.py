"""The folder that keeps downloads and crops between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from quantize.errors import ConfigError

VARIABLE = "QUANTIZE_CACHE"


def user_cache() -> Path:
    """Return the cache folder, not made yet: ``QUANTIZE_CACHE`` where it is set, else the user's for this package.

    Raises:
        ConfigError: There is no such home folder.
    """
    named = os.environ.get(VARIABLE)
    try:
        place = Path(named) if named else platformdirs.user_cache_path("quantize", appauthor=False)
        return place.expanduser()
    except RuntimeError:
        raise ConfigError(
            "there is no such home folder",
            where=VARIABLE,
            found=named or "no home folder of this user's",
            expected="a folder for downloads and decoded images",
            advice=f"set {VARIABLE} to a folder that you may write to",
        ) from None
