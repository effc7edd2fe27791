"""``docs/fuzzing.md``, from the counts of all runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fuzzing.registry import TARGETS

_HEAD = """# Fuzzing

<!-- Written by benchmarks/fuzz.py. -->

Every way in for a stranger's file is fed files that no stranger has thought of yet. A file is read as it should be, or
refused by one error that the user can fix, with a message that is bounded and holds no control character; anything else
(another exception, a crash, over a minute of processor time, over 3 GB) is a finding. Each was mended at its depth and
is kept as a test.

    python benchmarks/fuzz.py                       # every target, as often as the column "wanted" says
    python benchmarks/fuzz.py images --minutes 10   # one, for a while; counts add up

With the extra `fuzzing` (atheris), coverage of quantize's code (and Pillow's, tarfile's and zipfile's) guides what is
tried; where there is no wheel of it, hypothesis (extra `dev`) changes the seeds.

| target | what is read | executions | wanted | findings, mended |
|---|---|---:|---:|---:|
"""


def page(results: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        results: ``executions``, ``fixed`` and ``milliseconds`` by target: how often it was run, what was found and
            mended, and the processor time of one execution in the last run.
    """
    lines, short = [], []
    for name, target in TARGETS.items():
        count, fixed = results["executions"].get(name, 0), results["fixed"].get(name, [])
        lines.append(f"| {name} | {target.what} | {count:,} | {target.executions:,} | {len(fixed)} |")
        if count < target.executions:
            each = results.get("milliseconds", {}).get(name)
            cost = "" if each is None else f": one takes {each:g} ms of processor time"
            short.append(f"- {name}: {target.executions - count:,} executions are still to be run{cost}")
    parts = [_HEAD + "\n".join(lines) + "\n"]
    if short:
        parts.append("## What is not reached yet\n")
        parts.append("\n".join(short) + "\n")
    found = [f"- {name}: {sentence}" for name, sentences in results["fixed"].items() for sentence in sentences]
    if found:
        parts.append("## What was found and mended\n")
        parts.append("\n".join(found) + "\n")
    return "\n".join(parts)
