"""Dask where it is installed, and one message where it is not."""

from __future__ import annotations

from importlib.util import find_spec

from quantize.errors import EngineError


def require_dask() -> None:
    """Raise where ``distributed`` is not installed.

    Raises:
        EngineError: It is not; the message names the extra.
    """
    if find_spec("distributed") is None:
        raise EngineError(
            "a sweep runs on Dask, which is not installed",
            where="quantize sweep",
            found="no package `distributed`",
            expected="the extra `sweep`, here and on every worker",
            advice="pip install 'quantize[sweep]' (from a checkout: pip install '.[sweep]')",
        )
