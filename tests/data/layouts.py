"""The same labelled images in every layout that ImageNet comes in."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from quantize.data.containers.registry import open_images
from quantize.data.labels.classes import wordnet_ids


class Layouts:
    """Writes the same labelled images in every layout that ImageNet comes in; labels index ImageNet's classes."""

    def __init__(self, root: Path, images: dict[str, tuple[bytes, int]]) -> None:
        self.root = root
        self.images = images

    def label_file(self) -> Path:
        path = self.root / "val.txt"
        path.write_text("".join(f"{name} {label}\n" for name, (_, label) in self.images.items()))
        return path

    def flat(self) -> Path:
        return self._files("flat", {name: content for name, (content, _) in self.images.items()})

    def class_folders(self) -> Path:
        ids = wordnet_ids()
        return self._files("classes", {f"{ids[label]}/{name}": data for name, (data, label) in self.images.items()})

    def val_tar(self, *, folder: str = "") -> Path:
        return self._tar("ILSVRC2012_img_val.tar", {folder + name: data for name, (data, _) in self.images.items()})

    def class_tar(self) -> Path:
        ids = wordnet_ids()
        return self._tar("classes.tar", {f"val/{ids[label]}/{name}": d for name, (d, label) in self.images.items()})

    def devkit(self) -> Path:
        """A devkit with one inner node (the real one has many) whose class order is the reverse of the labels'."""
        folder = self.root / "ILSVRC2012_devkit_t12" / "data"
        folder.mkdir(parents=True)
        rows = [(1000 - label, wordnet_id, f"words {label}", 0) for label, wordnet_id in enumerate(wordnet_ids())]
        rows.append((1001, "n00001740", "entity", 2))
        kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
        table = np.array(rows, dtype=kinds).reshape(-1, 1)
        scipy.io.savemat(folder / "meta.mat", {"synsets": table})
        truth = "".join(f"{1000 - label}\n" for _, (_, label) in sorted(self.images.items()))
        (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
        return folder.parent

    def devkit_archive(self) -> Path:
        path = self.root / "ILSVRC2012_devkit_t12.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(self.root / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
        return path

    def webdataset(self, shards: int = 2) -> Path:
        folder = self.root / "wds"
        folder.mkdir()
        for shard in range(shards):
            files: dict[str, bytes] = {}
            for index, (content, label) in list(enumerate(self.images.values()))[shard::shards]:
                files[f"{index:06d}.jpg"] = content
                files[f"{index:06d}.cls"] = str(label).encode()
                files[f"{index:06d}.json"] = b"{}"
            self._tar(f"wds/imagenet-val-{shard:06d}.tar", files)
        return folder

    def parquet(self, shards: int = 2, rows_per_group: int = 5) -> Path:
        import pyarrow.parquet

        (self.root / "hub" / "data").mkdir(parents=True)
        for shard in range(shards):
            path = self.root / "hub" / "data" / f"validation-{shard:05d}-of-{shards:05d}.parquet"
            pyarrow.parquet.write_table(self.table(shard, shards), path, row_group_size=rows_per_group)
        return self.root / "hub"

    def arrow(self, kind: str, shards: int = 2, rows_per_batch: int = 5) -> Path:
        import pyarrow

        (self.root / kind).mkdir()
        for shard in range(shards):
            table = self.table(shard, shards)
            new = pyarrow.ipc.new_stream if kind == "stream" else pyarrow.ipc.new_file
            with new(str(self.root / kind / f"val-{shard:05d}.arrow"), table.schema) as writer:
                writer.write_table(table, max_chunksize=rows_per_batch)
        return self.root / kind

    def table(self, shard: int = 0, shards: int = 1) -> Any:
        import pyarrow

        chosen = list(self.images.items())[shard::shards]
        images = [{"bytes": content, "path": name} for name, (content, _) in chosen]
        return pyarrow.table({"image": images, "label": [label for _, (_, label) in chosen]})

    def zip(self, *, method: int = zipfile.ZIP_DEFLATED, labelled: bool = False) -> Path:
        path = self.root / f"val-{method}.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, (content, _) in self.images.items():
                archive.writestr(f"val/{name}", content)
            if labelled:
                archive.write(self.label_file(), "val/val.txt")
        return path

    def class_zip(self) -> Path:
        ids = wordnet_ids()
        with zipfile.ZipFile(self.root / "classes.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (content, label) in self.images.items():
                archive.writestr(f"{ids[label]}/{name}", content)
        return self.root / "classes.zip"

    def _files(self, place: str, files: dict[str, bytes]) -> Path:
        for name, content in files.items():
            path = self.root / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self.root / place

    def _tar(self, place: str, files: dict[str, bytes]) -> Path:
        with tarfile.open(self.root / place, "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return self.root / place


def labels_of(folder: Path, text: str, *, classes: int | None = 1000, encoding: str = "utf-8") -> dict[str, int | None]:
    """Return the label of each image in a folder, by a label file of this text."""
    label_file = folder.parent / "labels.txt"
    label_file.write_bytes(text.encode(encoding))
    return {record.id: record.label for record in open_images(folder, label_file, classes=classes).records}


def class_folders(root: Path, picture: Callable[..., bytes], folders: list[str]) -> Path:
    """Make class folders with a picture each."""
    for index, name in enumerate(folders):
        (root / name).mkdir(parents=True)
        (root / name / f"picture{index}.jpg").write_bytes(picture(index))
    return root
