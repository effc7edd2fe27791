"""The preprocessing of a model file: from the settings, the file itself or the catalog."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto
from pydantic import ValidationError

from quantize.config.run_config import PreprocessingBlock
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.errors import ConfigError, ModelError
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.input_form import takes_pixels
from quantize.report.metadata import PREFIX, read_facts
from quantize.report.schema import RunReport

INPUT_CONTRACT = f"{PREFIX}input_contract"
"""Key of what the model takes where the normalization was folded into its first Conv."""
PREPROCESSING = f"{PREFIX}preprocessing"
"""Key of the JSON of a ``Preprocessing``, sizes decided."""


def input_contract_in(model: ModelProto) -> str | None:
    """Return the input contract that was folded into a model, or None if its input is as it was."""
    return read_facts(model).get(INPUT_CONTRACT)


def preprocessing_in(model: ModelProto, *, where: str) -> Preprocessing | None:
    """Return the preprocessing that a model carries, or None if it carries none.

    Args:
        model: The model.
        where: Its name in errors.

    Raises:
        ModelError: What it carries is no preprocessing.
    """
    text = read_facts(model).get(PREPROCESSING)
    if text is None:
        return None
    try:
        return Preprocessing.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            "the preprocessing in the model's metadata is damaged",
            where=where,
            found=f"{PREPROCESSING}: {text[:80]}",
            expected="the JSON that a run writes",
            advice="pass --preset with the preprocessing that the model was trained with",
        ) from error


_NORMALIZATION = ("channel_order", "scale", "mean", "std")


def model_preprocessing(model: ModelArtifact, asked: PreprocessingBlock) -> tuple[Preprocessing, str]:
    """Return a model's preprocessing, sizes decided, and where it comes from.

    What is asked for comes first, laid over what the model's metadata says, or else the catalog. A preset that is
    asked for says what the network was trained with: where its normalization is folded into the model's first Conv
    (an input contract), and where the model takes pixels, it decides the sizes only.

    Raises:
        ConfigError: Nothing says what the preprocessing is, or its sizes do not fit the model.
        ModelError: The model's metadata is damaged.
    """
    chosen, origin = _chosen(model, asked)
    own, proto = {key: value for key, value in asked.given().items() if key in _NORMALIZATION}, model.proto()
    contract, known = input_contract_in(proto), preprocessing_in(proto, where=str(model.path))
    if contract is not None and known is not None:
        folded = {key: getattr(known, key) for key in _NORMALIZATION}
        parts = {**chosen.model_dump(exclude={"preset"}), **folded, **own}
        chosen = choose_preprocessing(parts, model.contract.channels)
        origin = f"{origin}; normalization by the model's input contract '{contract}'"
    elif takes_pixels(model.contract):
        order = {key: value for key, value in own.items() if key == "channel_order"}
        chosen = chosen.without_normalization().model_copy(update=order)
        origin = f"{origin}; the model takes pixels as they are"
    if takes_pixels(model.contract) and not chosen.leaves_pixels:
        raise ConfigError(
            "this model takes pixels as they are, and is given a normalization",
            where=str(model.path),
            found=f"scale {chosen.scale:g}, mean {chosen.mean}, std {chosen.std}",
            expected="none: its input is of type uint8",
            advice="leave out --scale, --mean and --std",
        )
    return chosen.for_input(model.contract.image_size, model.contract.channels), origin


def input_of(model: ModelArtifact) -> tuple[str | None, str]:
    """Return what tells models that are fed alike: the input contract folded into it, and its input's type."""
    return input_contract_in(model.proto()), model.contract.input.dtype


def preprocessings_of(
    models: Mapping[str, ModelArtifact], asked: PreprocessingBlock, report: RunReport | None
) -> dict[str, Preprocessing]:
    """Return each model's preprocessing: from the settings, its run's report, its own file, or a model fed alike.

    Raises:
        ConfigError: Nothing says what it is, or the models see different crops of an image.
    """
    chosen: dict[str, Preprocessing] = {}
    if report is not None and not asked.given():
        own = {section.graph_sha256 for section in (report.baseline, *report.models)}
        like = Preprocessing.model_validate(report.preprocessing.model_dump())
        if report.input_contract is None:
            return dict.fromkeys(models, like)
        chosen = {name: like for name, model in models.items() if model.graph_sha256 in own}
        asked = PreprocessingBlock.model_validate(report.config.get("preprocessing", {}))
    unknown: dict[str, ConfigError] = {}
    for name, model in models.items():
        try:
            chosen.setdefault(name, model_preprocessing(model, asked)[0])
        except ConfigError as error:
            unknown[name] = error
    for name, problem in unknown.items():
        alike = [chosen[other] for other in chosen if input_of(models[other]) == input_of(models[name])]
        if not alike:
            raise problem
        chosen[name] = alike[0]
    first, *others = (chosen[name] for name in models)
    for other in others:
        if other.crop_fingerprint != first.crop_fingerprint:
            raise ConfigError(
                "the models see different crops of an image",
                where="preprocessing",
                found=f"{_crop_words(first)}, and {_crop_words(other)}",
                expected="the same",
                advice="pass --preset, or --resize, --resize_mode, --crop and --interpolation",
            )
    return {name: chosen[name] for name in models}


def _crop_words(preprocessing: Preprocessing) -> str:
    cut = f", crop {preprocessing.crop}" if preprocessing.crop is not None else ""
    return f"{preprocessing.resize_mode} {preprocessing.resize} {preprocessing.interpolation}{cut}"


def _chosen(model: ModelArtifact, asked: PreprocessingBlock) -> tuple[Preprocessing, str]:
    given = asked.given()
    if "preset" in given:
        return choose_preprocessing(given, model.contract.channels), f"'{asked.preset}', as asked"
    proto = model.proto()
    known, origin = preprocessing_in(proto, where=str(model.path)), "from the model's metadata"
    if known is None:
        entry = catalog_entry_for(proto, sha256=model.sha256)
        known = entry.chosen_preprocessing() if entry is not None else None
        origin = f"of {entry.name} in the catalog" if entry is not None else ""
    if known is not None:
        chosen = choose_preprocessing({**known.model_dump(exclude={"preset"}), **given}, model.contract.channels)
        chosen = chosen.model_copy(update={"preset": known.preset})
        origin = f"'{known.preset}', {origin}" if known.preset else origin
        return chosen, origin + (", changed as asked" if given else "")
    if given:
        return choose_preprocessing(given, model.contract.channels), "as asked"
    raise ConfigError(
        "nothing says which preprocessing this model takes",
        where=str(model.path),
        found="neither metadata in the file nor its weights in the catalog",
        expected=f"--preset, one of: {', '.join(PRESETS)}",
        advice="name the one that the model was trained with; a wrong one costs nearly all accuracy",
    )
