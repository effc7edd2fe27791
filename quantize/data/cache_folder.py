"""Where downloads and crops are kept between runs."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def user_cache() -> Path:
    """Return the user's cache folder for this package (not made yet; ``XDG_CACHE_HOME`` moves it on Linux)."""
    return platformdirs.user_cache_path("quantize", appauthor=False)
