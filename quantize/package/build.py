"""One model of a run, packed as the model zoo publishes: model, sample test data, card, licence, provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from onnx import ModelProto

from quantize.data.preprocessing import Preprocessing
from quantize.errors import RunError
from quantize.models.artifact import ModelArtifact
from quantize.package.archive import write_archive
from quantize.package.card import model_card
from quantize.package.sample import allowed_difference, make_sample
from quantize.provenance import sha256_bytes, sha256_file
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport

MODEL, CARD, LICENCE, PROVENANCE = "model.onnx", "README.md", "LICENSE", "provenance.json"
INPUT, OUTPUT = "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb"

_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Licence:
    """Under which terms a model may be passed on.

    Attributes:
        name: SPDX name, or None where it is not known.
        text: The licence's text, or None.
    """

    name: str | None
    text: str | None = None

    @property
    def sentence(self) -> str:
        """Return what the model card says."""
        if self.name is not None:
            return f"{self.name}, as the fp32 model."
        if self.text is not None:
            return f"See the file {LICENCE}."
        return "Not known: ask whoever made the fp32 model before you pass this one on."


def licence_of(name: str | None, file: Path | None) -> Licence:
    """Return the licence of a catalog's name, with its text from a file of the user's or, for Apache-2.0, as packaged.

    Raises:
        RunError: The file cannot be read.
    """
    if file is not None:
        try:
            return Licence(name, file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"the licence cannot be read: {error}", where=str(file)) from error
    if name == _APACHE:
        text = resources.files("quantize.package").joinpath(f"{_APACHE}.txt").read_text(encoding="utf-8")
        return Licence(name, text)
    return Licence(name)


def build_package(
    report: RunReport, section: ModelSection, model: Path, path: Path, *, title: str, licence: Licence
) -> None:
    """Write the package of one model of a run; the same run gives the same bytes.

    Args:
        report: The run.
        section: What the report says of the model.
        model: The model's file.
        path: The .tar.gz file to write; its name without that is the folder in it.
        title: What people call the fp32 model.
        licence: Its licence.

    Raises:
        RunError: The model's file is gone, or is not the one of the report.
    """
    found = sha256_file(model) if model.is_file() else None
    if found != section.sha256:
        raise RunError(
            "the model is not the one of the report",
            where=str(model),
            found=f"sha256 {found}" if found else "no such file",
            expected=f"sha256 {section.sha256}",
            advice="run `quantize tune` again, and package what it wrote",
        )
    artifact = ModelArtifact.load(model)
    preprocessing = Preprocessing.model_validate(report.preprocessing.model_dump())
    sample = make_sample(artifact, preprocessing)
    files = {
        MODEL: model.read_bytes(),
        INPUT: sample.input.SerializeToString(deterministic=True),
        OUTPUT: sample.output.SerializeToString(deterministic=True),
        CARD: model_card(report, title, licence.sentence).encode(),
    }
    if licence.text is not None:
        files[LICENCE] = licence.text.encode()
    files[PROVENANCE] = _provenance(report, section, artifact.proto(), files).encode()
    write_archive(path, path.name.removesuffix(".tar.gz"), files)


def _provenance(report: RunReport, section: ModelSection, model: ModelProto, files: dict[str, bytes]) -> str:
    origin = report.provenance
    said = {
        "format": 1,
        "role": section.role,
        "graph_sha256": section.graph_sha256,
        "files": {name: sha256_bytes(content) for name, content in files.items()},
        "tolerance": {
            "with_vnni": allowed_difference(model, same_sums=True),
            "without_vnni": allowed_difference(model, same_sums=False),
        },
        "exact": True,
        "isa": list(origin.isa),
        "source": report.source.model_dump(mode="json", exclude={"path", "published"}),
        "recipe": report.chosen.recipe.model_dump(mode="json"),
        "recipe_id": report.chosen.recipe_id,
        "preprocessing": report.preprocessing.model_dump(mode="json"),
        "data_fingerprint": origin.data_fingerprint,
        "calibration_fingerprint": origin.calibration_fingerprint,
        "versions": origin.versions,
        "tool": origin.tool.model_dump(mode="json"),
        "created": origin.created,
    }
    return json.dumps(said, indent=1, allow_nan=False) + "\n"
