"""Package one model of a run as the model zoo does: model, sample data, card, licence, provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from PIL import Image

from quantize.bounded_reading import LARGEST_TEXT, read_bounded
from quantize.data.preprocessing import Preprocessing
from quantize.errors import RunError
from quantize.formats.exact import open_exact_session
from quantize.formats.saturation import saturating_layers
from quantize.models.artifact import ModelArtifact
from quantize.models.input_form import in_form
from quantize.models.reading import sha256_of_model
from quantize.models.session import open_session
from quantize.opening.bounds import Bounds
from quantize.opening.prove import prove
from quantize.packages.archive import write_archive
from quantize.packages.card import model_card
from quantize.provenance import sha256_bytes
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport

SAME_SUMS = 1e-4
"""Largest difference of a score, relative to the largest score where that exceeds 1, where nothing saturates: threads,
library versions and CPUs move less."""

OTHER_SUMS = 0.05
"""The same where sums can saturate on one of two CPUs: it may differ by more, and is another model then."""

_COARSE = 9


@dataclass(frozen=True)
class Sample:
    """A model's input and output, by the names in its graph.

    Attributes:
        input: What goes in.
        output: What came out.
    """

    input: TensorProto
    output: TensorProto


def allowed_difference(model: ModelProto, *, same_sums: bool) -> float:
    """Return how far a score may lie from the sample's.

    Args:
        model: The model.
        same_sums: Whether sums are known to be computed as they were for the sample: both without saturation, or both
            with the same int8 instructions.
    """
    return SAME_SUMS if same_sums or not saturating_layers(model) else OTHER_SUMS


def make_sample(model: ModelArtifact, preprocessing: Preprocessing) -> Sample:
    """Return a drawn picture, preprocessed as in the run, and the model's scores of it, computed without saturation.

    The picture is random colours, smoothed: the same every time, and nobody's photograph.
    """
    side = preprocessing.side
    coarse = np.random.default_rng(0).integers(0, 256, (_COARSE, _COARSE, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    if preprocessing.channels == 1:
        picture = picture.convert("L")
    contract = model.contract
    image = in_form(contract, preprocessing.normalize(np.asarray(picture).reshape(1, side, side, -1)))
    image = np.repeat(image, contract.fixed_batch or 1, axis=0)
    return Sample(
        input=numpy_helper.from_array(image, contract.input.name),
        output=numpy_helper.from_array(answer(model, image), contract.answer),
    )


def answer(model: ModelArtifact, image: NDArray[np.generic], *, exact: bool = True) -> NDArray[np.float32]:
    """Return the model's output, in its own shape, for an input of its own type and layout.

    Args:
        model: The model.
        image: The input.
        exact: Whether sums are computed without saturation, so that every CPU gives the same, or as this CPU does.
    """
    session = (open_exact_session if exact else open_session)(model.path)
    (output,) = session.run([model.contract.answer], {model.contract.input.name: image})
    return np.asarray(output)


MODEL, CARD, LICENCE, PROVENANCE = "model.onnx", "README.md", "LICENSE", "provenance.json"
INPUT, OUTPUT = "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb"

_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Licence:
    """Under which terms a model may be passed on.

    Attributes:
        name: SPDX name, or None if it is not known.
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
            return Licence(name, read_bounded(file, LARGEST_TEXT).decode("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"the licence cannot be read: {error}", where=str(file)) from error
    if name == _APACHE:
        text = resources.files("quantize.packages").joinpath(f"{_APACHE}.txt").read_text(encoding="utf-8")
        return Licence(name, text)
    return Licence(name)


def build_package(
    report: RunReport,
    section: ModelSection,
    model: Path,
    path: Path,
    *,
    title: str,
    licence: Licence,
    bounds: Bounds = Bounds(),
) -> None:
    """Write the package of one model of a run; the same run gives the same bytes.

    Args:
        report: The run.
        section: What the report says of the model.
        model: The model's file.
        path: The .tar.gz file to write; its name without that is the folder in it.
        title: What people call the fp32 model.
        licence: Its licence.
        bounds: Of opening the model.

    Raises:
        ModelError: The model cannot be opened within them.
        RunError: The model's file is gone, or is not the one of the report.
    """
    sha256 = sha256_of_model(model)
    if sha256 != section.sha256:
        raise RunError(
            "the model is not the one of the report",
            where=str(model),
            found=f"sha256 {sha256}" if sha256 else "no such file, or one larger than any model",
            expected=f"sha256 {section.sha256}",
            advice="run `quantize tune` again, and package what it wrote",
        )
    prove(model, bounds)
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
