"""Prints the packages that `quantize` needs, and those named, at the versions of this environment, one a line."""

from __future__ import annotations

import sys
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(names: list[str]) -> set[str]:
    """Return the packages that ``names`` require, without extras, and what these require in turn."""
    found: set[str] = set()
    while names:
        wanted = [Requirement(line) for line in requires(names.pop()) or ()]
        new = {
            canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})
        }
        names += new - found
        found |= new
    return found


if __name__ == "__main__":
    tools = sys.argv[1:]
    for name in sorted(needed(["quantize", *tools]) | set(tools)):
        sys.stdout.write(f"{name}=={version(name)}\n")
