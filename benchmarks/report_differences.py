"""What two reports of the same run do not share, but for what was timed or says where and when it ran."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from quantize.report.renamed_keys import new_name

# Dotted keys of a report (list positions as numbers) whose values are times, or name a place, a moment or a version;
# and what follows from other values: the fingerprint of the settings, a replay's findings, and a file's bytes, which
# hold more metadata with each version (its graph has a hash of its own).
MEASURED = re.compile(
    r"""^(
      measurement | resources | profile | stages | machine | conclusion
      | provenance\.(created|command|tool|versions|config_fingerprint)
      | models\.\d+\.(bytes | sha256)
      | verdict\.(speed|text|summary) | replay | flips\.shown\.\d+\.thumbnail
      | (engines\.\d+\.)? (seconds | peak_bytes | search\.stages | trials\.\d+\.seconds)
      | engines\.\d+\.reasons
      | rewrites\.\d+\.(speed | speedup | seconds | ratio) .*
      | .*_ns | .*\.seconds
    )(\.|$)""",
    re.VERBOSE,
)
# Sentences that quote a measured ratio.
TIMED = re.compile(r"runs at .* of fp32's speed|faster|slower")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values that two reports do not share; what only a later version writes is none: see ``new_keys``."""
    before, after = compared(old), compared(new)
    added = {*new_keys(old, new)}
    missing = object()
    for key in sorted(before.keys() | after.keys()):
        first, second = before.get(key, missing), after.get(key, missing)
        if first is missing and (second in (None, [], {}) or _without_positions(key) in added):
            continue
        timed = isinstance(first, str) and isinstance(second, str) and TIMED.search(first) and TIMED.search(second)
        if first != second and not timed:
            shown = ["(no such key)" if value is missing else repr(value)[:120] for value in (first, second)]
            yield f"{key}: old {shown[0]}, new {shown[1]}"


def new_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys, without list positions, that the earlier version wrote nowhere, nor anything in their place."""
    known = {_without_positions(key) for key in compared(old)}
    keys = {_without_positions(key) for key in compared(new)}
    return sorted(key for key in keys if not any(place in known for place in _places(key)))


def compared(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a report that are compared, by their dotted keys, under the names that these have today."""
    return {new_name(key): value for key, value in flat(report).items() if not MEASURED.match(key)}


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested values by their dotted keys."""
    if isinstance(value, Mapping) and value:
        parts = value.items()
    elif isinstance(value, list) and value:
        parts = {str(position): item for position, item in enumerate(value)}.items()
    else:
        return {key: value}
    leaves: dict[str, Any] = {}
    for name, item in parts:
        leaves |= flat(item, f"{key}.{name}" if key else str(name))
    return leaves


def _without_positions(key: str) -> str:
    return ".".join(part for part in key.split(".") if not part.isdigit())


def _places(key: str) -> Iterator[str]:
    """Yield a key and those that it lies in."""
    while key:
        yield key
        key = key.rpartition(".")[0]
