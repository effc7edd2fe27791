"""The two classifiers of the npm package ``nsfwjs`` (MIT), rebuilt from the weights in it, which have 8 bits.

Classes: Drawing, Hentai, Neutral, Porn, Sexy.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from onnx import ModelProto

from quantize.data.npm_packages import npm_package
from quantize.errors import ModelError
from quantize.models.catalog.keras_layers import keras_model
from quantize.models.catalog.tfjs import exported_bytes, exported_object, layers_of, weights_of
from quantize.progress import Progress, silent

PACKAGE = ("nsfwjs", "4.3.0", "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f")
_LARGEST = 16_000_000  # bytes of one file in it


def build_nsfwjs(network: str, cache: Path, progress: Progress = silent) -> ModelProto:
    """Return one of its models, (N, H, W, 3) with values from 0 to 1 to probabilities (N, 5); the same bytes each time.

    Args:
        network: ``mobilenet_v2`` or ``inception_v3``.
        cache: Folder that keeps the package.
        progress: Called during the download.

    Raises:
        DataError: The package cannot be had, or is another than the published one.
        ModelError: It does not hold the model.
    """
    folder = f"package/dist/models/{network}"
    try:
        with tarfile.open(npm_package(*PACKAGE, cache, progress=progress)) as package:
            model = exported_object(_text(package, f"{folder}/model.min.js"))
            names = [path for group in model["weightsManifest"] for path in group["paths"]]
            content = b"".join(exported_bytes(_text(package, f"{folder}/{name}.min.js")) for name in names)
        return keras_model(layers_of(model), weights_of(model, content))
    except (KeyError, ValueError, tarfile.TarError) as error:
        raise ModelError(
            f"the npm package does not hold the model {network}",
            where=f"{folder} in {PACKAGE[0]} {PACKAGE[1]}",
            found=str(error),
        ) from error


def _text(package: tarfile.TarFile, name: str) -> str:
    member = package.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return member.read(_LARGEST).decode("utf-8")
