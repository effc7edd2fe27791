from __future__ import annotations

import pytest

from quantize.engines.native.search.latency_model import ProfiledTimes, TimedOp
from quantize.engines.native.search.latency_table import LatencyTable, PairedLatency
from quantize.errors import RunError


def test_a_table_comes_back_from_its_file(tmp_path):
    times = ProfiledTimes(
        baseline=(TimedOp(origin="a", kind="fp32", time_ns=1.5),),
        candidate=(TimedOp(origin="a", kind="int8", time_ns=0.5),),
    )
    table = LatencyTable(
        model="abc",
        profiles={"r": times},
        measured={"r": PairedLatency(baseline_ns=3.0, candidate_ns=1.0)},
    )
    table.save(tmp_path / "latency.json")
    assert LatencyTable.load(tmp_path / "latency.json", "abc") == table
    assert table.measured["r"].ratio == 3.0


def test_a_table_of_another_model_or_no_table_is_refused(tmp_path):
    LatencyTable(model="abc").save(tmp_path / "latency.json")
    with pytest.raises(RunError, match="another model"):
        LatencyTable.load(tmp_path / "latency.json", "def")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RunError, match="no latency table"):
        LatencyTable.load(tmp_path / "other.json", "abc")
    with pytest.raises(RunError, match="cannot be read"):
        LatencyTable.load(tmp_path / "missing.json", "abc")
