from __future__ import annotations

from pathlib import Path

import pytest

from quantize.engines.native.search.candidate_builder import CandidateBuilder
from quantize.engines.native.search.search_journal import SearchJournal
from quantize.engines.native.search.settings import SearchSettings
from quantize.engines.task import CalibrationSet
from quantize.errors import StorageError
from quantize.journal import Journal
from quantize.models.artifact import ModelArtifact
from quantize.recipe import Recipe

RECIPE = Recipe(engine="native")


def builder(model: ModelArtifact, calibration: CalibrationSet, folder: Path, *, resume: bool) -> CandidateBuilder:
    journal = SearchJournal(Journal(folder / "trials.jsonl", {}, resume=resume))
    return CandidateBuilder(model, SearchSettings(recipe=RECIPE, threads=1), calibration, journal, folder / "work")


def test_a_candidate_that_cannot_be_written_is_no_failed_candidate_and_is_built_when_it_can(
    small_model: ModelArtifact, calibration: CalibrationSet, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "work" / "candidates"
    in_the_way.parent.mkdir()
    in_the_way.write_bytes(b"")
    with pytest.raises(StorageError):
        builder(small_model, calibration, tmp_path, resume=False).build(RECIPE)
    in_the_way.unlink()
    assert isinstance(builder(small_model, calibration, tmp_path, resume=True).build(RECIPE), ModelArtifact)
