"""The examples in the documentation of the functions run, in the order that they build on each other."""

from __future__ import annotations

import doctest

import pytest

import quantize

_ORDER = (
    "doctor",
    "calibration_loader",
    "tune",
    "inspect",
    "evaluate",
    "predict",
    "benchmark",
    "check",
    "verify",
    "compare",
    "package",
)


@pytest.mark.inc
@pytest.mark.usefixtures("workplace")
def test_the_examples_in_the_documentation_run() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for name in _ORDER:
        (example,) = finder.find(getattr(quantize, name), globs={"quantize": quantize})
        assert example.examples
        report: list[str] = []
        runner.run(example, out=report.append)
        assert not report, "".join(report)


def test_every_function_has_an_example() -> None:
    functions = {name for name in quantize.__all__ if name.islower() and not name.startswith("_")}
    assert functions == set(_ORDER)
