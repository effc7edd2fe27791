"""``python -m faults.anew`` is ``python -m quantize`` whose decisions rest on no time; it loads nothing beforehand.

A signal is to meet a process while it loads what it needs, so what ``warm`` does before that happens here on import.
Before ``quantize`` handles signals, this must not take longer than Python itself does: few modules are imported here.
"""

from __future__ import annotations

import runpy
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from faults.gains import MEASURING, fix_gains

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class AfterImport:
    """Finds one module of a package, and hands it to a function as soon as it is imported.

    Args:
        name: The module.
        act: What receives it.
    """

    def __init__(self, name: str, act: Callable[[ModuleType], None]) -> None:
        self._name, self._act = name, act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec; None for every other one."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._name else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            self._act(module)

        setattr(spec.loader, "exec_module", exec_module)  # noqa: B010 - mypy takes no assignment to a method
        return spec


if __name__ == "__main__":
    sys.meta_path.insert(0, AfterImport(MEASURING, fix_gains))
    runpy.run_module("quantize", run_name="__main__", alter_sys=True)
