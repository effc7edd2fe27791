"""What a rewrite gains is not measured in runs that are compared: nothing that they decide may rest on time."""

from __future__ import annotations

from types import ModuleType

MEASURING = "quantize.run.rewriting"
"""The module that measures what a rewrite gains."""

_MEASURE = "_measured"


def fix_gains(rewriting: ModuleType) -> None:
    """Let every rewrite gain the same.

    Args:
        rewriting: The module named ``MEASURING``.

    Raises:
        AttributeError: It does not measure any more where it did.
    """
    from quantize.rewrites.protocol import RatioInterval

    def gain(*_: object) -> RatioInterval:
        return RatioInterval(low=0.9, ratio=1.0, high=1.1)

    getattr(rewriting, _MEASURE)
    setattr(rewriting, _MEASURE, gain)
