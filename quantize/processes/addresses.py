"""How much address space this process may take: with too little, native code crashes or spins where others raise."""

from __future__ import annotations

import sys

SHORT_BYTES = 4 * 10**9
"""Where less than that may be taken, that can be why a model is not opened."""


def allowed_addresses() -> int | None:
    """Return the bytes of address space that this process may take; None: any number of them."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
