"""Models that every CPU must answer alike, each with its inputs: generated graphs and networks, in both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from onnx import ModelProto

from quantize.formats import to_qdq, to_qlinear
from quantize.rewrites import rewrite, select_rewrites
from tests.emulated.small_network import SmallNetwork, pixels
from tests.formats.plain_quantizer import quantized
from tests.formats.small_graphs import qlinear_graphs

_GRAPHS = 100
_CALIBRATING = 8


def write_case(folder: Path, name: str, model: ModelProto, feeds: dict[str, NDArray[Any]]) -> None:
    """Write a model and its inputs."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / f"{name}.npz", **feeds)  # type: ignore[arg-type]


def write_generated(folder: Path) -> None:
    """Write the formats of small graphs of every operator that the converters know; the same graphs each time."""
    graphs = []

    @given(qlinear_graphs())
    @settings(max_examples=_GRAPHS, derandomize=True, database=None, deadline=None, suppress_health_check=HealthCheck)
    def collect(case: tuple[ModelProto, dict[str, NDArray[Any]]]) -> None:
        graphs.append(case)

    collect()
    for number, (model, feeds) in enumerate(graphs):
        write_case(folder / "generated graphs", f"{number:03d}-qlinear", to_qlinear(model), feeds)
        write_case(folder / "generated graphs", f"{number:03d}-qdq", to_qdq(model), feeds)


def write_squeezenet(folder: Path, squeezenet: Path, photographs: NDArray[np.object_]) -> None:
    """Write both formats of SqueezeNet with weights of 8 bits, and photographs that did not calibrate it."""
    images = pixels(photographs, 224)
    few = images[:_CALIBRATING]
    source = quantized(onnx.load(squeezenet), few, float_ops=("GlobalAveragePool", "Softmax"))
    most = [one for one in select_rewrites("default") if not one.for_matrix_units]
    for made, chosen in (("", most), (", for matrix units", select_rewrites("default"))):
        done = rewrite(source, chosen, images=[few])
        for name, model in (("qlinear", done.qlinear), ("qdq", done.qdq)):
            feeds = {model.graph.input[0].name: images[_CALIBRATING:]}
            write_case(folder / f"SqueezeNet 1.0{made}", name, model, feeds)


def write_run(folder: Path, made: str, run: Path, network: SmallNetwork) -> None:
    """Write the files of a run on the small network with the images that judged it."""
    calibrating = set(network.calibration.read_text(encoding="utf-8").split())
    judging = [path for path in sorted(network.images.iterdir()) if path.name not in calibrating]
    for path in sorted(run.glob("*.onnx")):
        model = onnx.load(path)
        feeds = {model.graph.input[0].name: pixels(np.array(judging, dtype=object))}
        write_case(folder / f"small network, tuned {made}", path.stem, model, feeds)
