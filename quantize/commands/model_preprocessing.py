"""Which preprocessing a model file takes: as asked, as the file itself says, or as the catalog knows."""

from __future__ import annotations

from quantize.config.preprocessing import PreprocessingBlock
from quantize.data.preprocessing import PRESETS, Preprocessing, choose_preprocessing
from quantize.errors import ConfigError
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog.catalog import catalog_entry_for
from quantize.models.input_form import takes_pixels
from quantize.prediction.metadata import input_contract_in, preprocessing_in

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
        chosen = Preprocessing.model_validate({**chosen.model_dump(), **folded, **own, "preset": None})
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
    height, width = model.contract.image_size or (None, None)
    return chosen.for_input_size(height, width), origin


def input_of(model: ModelArtifact) -> tuple[str | None, str]:
    """Return what tells models that are fed alike: the input contract folded into it, and its input's type."""
    return input_contract_in(model.proto()), model.contract.input.dtype


def _chosen(model: ModelArtifact, asked: PreprocessingBlock) -> tuple[Preprocessing, str]:
    given = asked.given()
    if "preset" in given:
        return choose_preprocessing(given), f"'{asked.preset}', as asked"
    proto = model.proto()
    known, origin = preprocessing_in(proto, where=str(model.path)), "from the model's metadata"
    if known is None:
        entry = catalog_entry_for(proto, sha256=model.sha256)
        known = entry.chosen_preprocessing() if entry is not None else None
        origin = f"of {entry.name} in the catalog" if entry is not None else ""
    if known is not None:
        chosen = Preprocessing.model_validate({**known.model_dump(), **given})
        origin = f"'{known.preset}', {origin}" if known.preset else origin
        return chosen, origin + (", changed as asked" if given else "")
    if given:
        return choose_preprocessing(given), "as asked"
    raise ConfigError(
        "nothing says which preprocessing this model takes",
        where=str(model.path),
        found="neither metadata in the file nor its weights in the catalog",
        expected=f"--preset, one of: {', '.join(PRESETS)}",
        advice="name the one that the model was trained with; a wrong one costs nearly all accuracy",
    )
