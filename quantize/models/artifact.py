"""A model as the rest of the package uses it: a file, its identity and its contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from quantize.files import write_bytes
from quantize.graph.identity import graph_sha256
from quantize.graph.nodes import default_opset
from quantize.models.contract import ModelContract, TensorContract, model_contract
from quantize.models.reading import read_model
from quantize.provenance import sha256_bytes, sha256_file

__all__ = ["ModelArtifact", "ModelContract", "TensorContract", "save_model"]


@dataclass(frozen=True)
class ModelArtifact:
    """A model file and what identifies it; fp32 and int8 models are the same type.

    Attributes:
        path: The ONNX file.
        sha256: Hash of the file's bytes.
        graph_sha256: Hash of the model without its metadata: the identity that figures belong to.
        opset: Version of the default operator set.
        contract: Input, output, number of classes.
        bytes: Size of the file.
    """

    path: Path
    sha256: str
    graph_sha256: str
    opset: int
    contract: ModelContract
    bytes: int

    @classmethod
    def load(cls, path: Path, *, score_output: str | None = None) -> ModelArtifact:
        """Return the artifact of a model file.

        Args:
            path: The file.
            score_output: The output that holds the scores, where several could.

        Raises:
            ModelError: The file is no readable ONNX model, or no image classifier.
        """
        model = read_model(path)
        contract = model_contract(model, where=str(path), score_output=score_output)
        graph = graph_sha256(model)
        return cls(path, sha256_file(path), graph, default_opset(model), contract, path.stat().st_size)

    def of_labels(self) -> ModelArtifact:
        """Return the artifact of a model whose scores are those of labels, which only its images' labels show."""
        return replace(self, contract=replace(self.contract, task="labels"))

    def proto(self) -> ModelProto:
        """Return the model itself, read again.

        Raises:
            ModelError: The file is gone or has been damaged.
        """
        return read_model(self.path)


def save_model(model: ModelProto, path: Path) -> ModelArtifact:
    """Write a model in one step, deterministically, and return its artifact.

    Raises:
        ModelError: The model is no image classifier; nothing is written then.
    """
    content = model.SerializeToString(deterministic=True)
    sha256 = sha256_bytes(content)
    graph = graph_sha256(model) if model.metadata_props else sha256  # without metadata it is the same, but made again
    contract = model_contract(model, where=str(path))
    write_bytes(path, content)
    return ModelArtifact(path, sha256, graph, default_opset(model), contract, len(content))
