from __future__ import annotations

import doctest
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import quantize
from quantize import public as calls
from tests.three_colours import write_colours


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model that classifies colours, thirty pictures and their labels, as the working directory."""
    write_colours(tmp_path)
    (tmp_path / "tolerances.yaml").write_text("version: 1\nagainst_fp32:\n  agreement: { at_least: 0.9 }\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.inc
@pytest.mark.usefixtures("workplace")
def test_the_examples_in_the_documentation_run() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for function in (
        calls.tune,
        calls.evaluate,
        calls.predict,
        calls.check,
        calls.benchmark,
    ):  # in the order that they build on
        (example,) = finder.find(function, globs={"quantize": quantize})
        assert example.examples
        report: list[str] = []
        runner.run(example, out=report.append)
        assert not report, "".join(report)


def test_no_public_name_is_also_a_module_of_the_package() -> None:
    modules = {module.name for module in pkgutil.iter_modules(quantize.__path__)}
    assert not modules & set(quantize.__all__)
    assert "measurement" in modules


def test_functions_stay_functions_when_every_module_is_imported() -> None:
    script = (
        "import quantize, quantize.measurement.timing.clock as m, quantize.cli.main, quantize.commands.benchmark\n"
        "assert m.__name__ == 'quantize.measurement.timing.clock'\n"
        "assert callable(quantize.benchmark) and callable(quantize.predict)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("module", ["quantize", "quantize.cli.main", "quantize.pytest_plugin"])
def test_importing_the_package_or_the_command_line_imports_nothing_large(module: str) -> None:
    script = f"import sys, {module}; assert not {{'numpy', 'onnx', 'onnxruntime', 'pydantic'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_help_imports_nothing_large() -> None:
    script = (
        "import sys\n"
        "from quantize.cli.main import main\n"
        "main(['--help'])\n"
        "assert not {'numpy', 'onnx', 'onnxruntime', 'pydantic', 'quantize.config'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in quantize.__all__:
        assert not isinstance(getattr(quantize, name), ModuleType)
    assert set(quantize.__all__) == set(dir(quantize))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = quantize.nothing_like_it
