from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from quantize.commands.package import package
from quantize.errors import RunError
from quantize.packages.verify import verify_package


def test_each_model_of_a_run_is_packed_and_answers_its_sample(run: Path) -> None:
    files = package(run)
    assert [file.name for file in files] == ["colours-13-int8.tar.gz", "colours-13-qdq.tar.gz"]
    assert {file.parent for file in files} == {run / "package"}
    for file in files:
        check = verify_package(file)
        assert check.answers
        assert check.exact
        assert "LICENSE" not in check.files  # the catalog does not know this model


def test_packages_in_the_way_are_kept_until_overwriting_is_asked_for(run: Path, tmp_path: Path) -> None:
    files = package(run, tmp_path / "packages")
    before = [file.read_bytes() for file in files]
    with pytest.raises(RunError, match="already exists"):
        package(run, tmp_path / "packages")
    package(run, tmp_path / "packages", overwrite=True)
    assert [file.read_bytes() for file in files] == before


def test_a_licence_of_the_users_own_goes_into_the_package(run: Path, tmp_path: Path) -> None:
    (tmp_path / "LICENCE").write_text("Do what you like.")
    file, _ = package(run, tmp_path, tmp_path / "LICENCE")
    with tarfile.open(file) as archive:
        member = archive.extractfile("colours-13-int8/LICENSE")
        assert member is not None
        assert member.read() == b"Do what you like."
    with pytest.raises(RunError, match="the licence cannot be read"):
        package(run, tmp_path / "again", tmp_path / "nowhere")


def test_the_provenance_names_the_run_that_the_model_comes_from(run: Path) -> None:
    file, _ = package(run)
    report = json.loads((run / "report.json").read_text())
    with tarfile.open(file) as archive:
        member = archive.extractfile("colours-13-int8/provenance.json")
        assert member is not None
        provenance = json.loads(member.read())
    assert provenance["recipe_id"] == report["chosen"]["recipe_id"]
    assert provenance["data_fingerprint"] == report["provenance"]["data_fingerprint"]
