"""Neural Compressor 1.x's ``dataloader`` blocks, read as ``data`` and ``preprocessing``."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from quantize.config.document import Document, KeyPath
from quantize.config.legacy import unknown_key
from quantize.config.problem import Problem, dotted, shown
from quantize.config.transforms import TRANSFORMS, NotTheSameError, preprocessing_of

# The images that accuracy is measured on are the ones that `data` means, so their block is looked at first.
_PLACES: tuple[KeyPath, ...] = (
    ("evaluation", "accuracy", "dataloader"),
    ("quantization", "calibration", "dataloader"),
    ("evaluation", "performance", "dataloader"),
)
_KEYS = ("batch_size", "dataset", "distributed", "filter", "last_batch", "shuffle", "transform")
_DATASETS = (
    "CIFAR10",
    "CIFAR100",
    "COCONpy",
    "COCORaw",
    "COCORecord",
    "FashionMNIST",
    "GLUE",
    "ImageFolder",
    "ImageRecord",
    "Imagenet",
    "ImagenetRaw",
    "MNIST",
    "TFRecordDataset",
    "VOCRecord",
    "bert",
    "dummy",
    "dummy_v2",
    "mzbert",
    "sparse_dummy_v2",
    "style_transfer",
)


def read_dataloaders(document: Document, notes: list[str]) -> None:
    """Turn ``dataloader`` blocks into ``data`` and ``preprocessing``, with a note on what became of each.

    What the file says in ``data`` and ``preprocessing`` itself holds; blocks that say something else are noted.
    """
    for path in _PLACES:
        if not document.has(path):
            continue
        loader, where = document.take(path), document.where(path, key=True)
        if loader is None or not _is_a_block(document, path, loader, _KEYS):
            continue
        read: list[str] = []
        left = [name for name in ("filter", "shuffle", "distributed") if loader.get(name)]
        _read_dataset(document, (*path, "dataset"), loader.get("dataset"), read, left)
        _read_transform(document, (*path, "transform"), loader.get("transform"), read, left)
        text = f"read as {', '.join(read)}" if read else "accepted"
        notes.append(f"{where}: {dotted(path)}: {text}{'; not used: ' + '; '.join(left) if left else ''}")


def loader_names(block: KeyPath) -> list[str]:
    """Return ``dataloader`` for the blocks that have one."""
    return ["dataloader"] if (*block, "dataloader") in _PLACES else []


def _read_dataset(document: Document, path: KeyPath, dataset: Any, read: list[str], left: list[str]) -> None:
    if dataset is None or not _is_a_block(document, path, dataset, _DATASETS):
        return
    for name, arguments in dataset.items():
        images = _images_of(name, arguments if isinstance(arguments, dict) else {})
        if images is None:
            left.append(f"dataset {name}, which has no labelled image files")
            continue
        folder, labels = images
        _offer(document, ("data", "path"), folder, document.where((*path, name)), read, left)
        if labels is not None:
            _offer(document, ("data", "labels"), labels, document.where((*path, name)), read, left)


def _images_of(name: str, arguments: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return the folder of images and the label file that a 1.x dataset means."""
    root = arguments.get("data_path", arguments.get("root"))
    if root is None:
        return None
    if name == "ImagenetRaw" or (name == "Imagenet" and "image_list" in arguments):
        return root, arguments.get("image_list", str(PurePath(str(root)) / "val.txt"))
    if name == "Imagenet":  # class folders below `val`
        return str(PurePath(str(root)) / "val"), None
    return (root, None) if name == "ImageFolder" else None


def _read_transform(document: Document, path: KeyPath, transform: Any, read: list[str], left: list[str]) -> None:
    if not transform or not _is_a_block(document, path, transform, TRANSFORMS):
        return
    try:
        parts = preprocessing_of(transform)
    except NotTheSameError as difference:
        left.append(f"transform, because `preprocessing` has no like of it ({difference})")
        return
    where = document.where(path)
    written = document.get(("preprocessing",))
    if written:
        agrees = isinstance(written, dict) and all(written.get(name) == value for name, value in parts.items())
        (read if agrees else left).append("preprocessing" if agrees else "transform, because `preprocessing` is set")
        return
    for name, value in parts.items():
        document.put(("preprocessing", name), value, where=where)
    read.append(f"preprocessing ({', '.join(f'{name} {_short(value)}' for name, value in parts.items())})")


def _offer(document: Document, path: KeyPath, value: Any, where: str, read: list[str], left: list[str]) -> None:
    """Set a value that the file does not set itself."""
    if not document.has(path):
        document.put(path, value, where=where)
        read.append(f"{dotted(path)} {value}")
    elif document.get(path) == value:
        read.append(f"{dotted(path)} {value}")
    else:
        left.append(f"{value}, because {dotted(path)} is {document.get(path)}")


def _is_a_block(document: Document, path: KeyPath, value: Any, known: tuple[str, ...]) -> bool:
    """Return whether a value is a mapping with known keys only, and report if it is not."""
    if not isinstance(value, dict):
        document.problems.append(
            Problem(document.where(path), f"{dotted(path)}: wrong type", shown(value), "a block of keys")
        )
        return False
    strange = [name for name in value if name not in known]
    document.problems += [unknown_key(document, (*path, name), known) for name in strange]
    return not strange


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(_short(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
