"""The folder that a benchmark works in: what lies there is removed only where the benchmark made it."""

from __future__ import annotations

from pathlib import Path


def refuse_foreign(folder: Path, *, own: bool) -> None:
    """Refuse a folder that holds something which is not this benchmark's.

    Args:
        folder: Where it is to work; missing and empty ones are taken.
        own: Whether what lies there is of an earlier call.

    Raises:
        SystemExit: It is not.
    """
    if folder.exists() and not own and not (folder.is_dir() and not any(folder.iterdir())):
        raise SystemExit(
            f"{folder}: holds something that is not of an earlier call, and would be removed; name another one"
        )
