"""Fixtures of tests of graphs."""

from tests.models.conftest import classifier

__all__ = ["classifier"]
