"""The models by hand of the shared cases: each is refused in one message, or taken, within its bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quantize.commands.inspection import inspect_model
from quantize.errors import ModelError
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove

pytestmark = pytest.mark.real

BOUNDS = Bounds(seconds=4.0)
SLOW = ("chain200k", "loopconst", "loopdata", "range")


@pytest.fixture(scope="module")
def strangers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the models that the shared script writes."""
    cases = shared / "cases" / "hostile"
    if not (cases / "models.py").is_file():
        pytest.skip(f"no models by hand in {cases}")
    folder = tmp_path_factory.mktemp("strangers")
    subprocess.run([sys.executable, str(cases / "models.py")], cwd=folder, check=True, timeout=600)
    return sorted((folder / "ox").glob("*.onnx"))


def test_each_is_refused_in_one_message_or_taken_within_its_bounds(strangers: list[Path]) -> None:
    assert len(strangers) >= 70
    refused = {}
    for path in strangers:
        try:
            prove(path, BOUNDS, prepares=True)
            if path.stem not in SLOW:
                inspect_model(path, BOUNDS)
        except ModelError as error:
            refused[path.stem] = f"{error.problem}: {error.found}"
    assert "SIGFPE" in refused["zerostride"]
    assert "calls itself" in refused["funcrec"]
    assert "1,073,741,830 nodes" in refused["funcbomb"]
    for name in ("loopconst", "loopdata"):
        assert "it took longer than 4 s" in refused[name]
    for name in ("cos40g", "cos6g", "bigpads"):
        assert "too much memory" in refused[name]
    for name in ("hugebatch", "bigbatch", "hugeinput", "biginput"):
        assert "does not fit into memory" in refused[name]
    for name in ("ext_offabc", "ext_offneg", "ext_offhuge", "ext_lenneg", "ext_lenhuge", "ext_lenabc"):
        assert "no place in its file" in refused[name]
    assert not {"ext_ok", "nanweights", "zeroweights", "dupnames", "nest40"} & refused.keys()
