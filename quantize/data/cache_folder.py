"""The folder that keeps downloads and crops between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "QUANTIZE_CACHE"


def user_cache() -> Path:
    """Return the cache folder, not made yet: ``QUANTIZE_CACHE`` where it is set, else the user's for this package."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("quantize", appauthor=False)
