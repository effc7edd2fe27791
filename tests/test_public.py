from __future__ import annotations

import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import quantize


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


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in quantize.__all__:
        assert not isinstance(getattr(quantize, name), ModuleType)
    assert set(quantize.__all__) == set(dir(quantize))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = quantize.nothing_like_it
