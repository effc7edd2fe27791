"""The files of a run and the figures of each."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from quantize.evaluation.paired import PairedComparison
from quantize.evaluation.paired_precision import PrecisionComparison
from quantize.evaluation.summary import EvaluationSummary
from quantize.evaluation.verdict import Judgement
from quantize.report.section import Section

Role = Literal["fp32", "int8", "qdq"]


class AccuracySection(Section):
    """One model on one set of images.

    Attributes:
        evaluation: Accuracy and fidelity of the saved file, loaded again.
        top1: Paired with the baseline; None for the baseline itself and without labels.
        top5: The same for top-5; None also where five answers say nothing.
        judgement: Against the criterion; None for the baseline, and where nothing was asked.
        mean_average_precision: Paired with the baseline, for a model of several labels.
    """

    evaluation: EvaluationSummary
    top1: PairedComparison | None = None
    top5: PairedComparison | None = None
    judgement: Judgement | None = None
    mean_average_precision: PrecisionComparison | None = None

    @property
    def paired(self) -> PairedComparison | PrecisionComparison | None:
        """Return the comparison of accuracy with the baseline; None for the baseline itself and without labels."""
        return self.top1 or self.mean_average_precision

    def metric(self, name: Literal["top1", "map", "agreement", "none"]) -> float | None:
        """Return accuracy or the agreement with fp32, a fraction; None if it was not measured."""
        if name in ("top1", "map"):
            return self.evaluation.accuracy.expected if self.evaluation.accuracy else None
        return self.evaluation.fidelity.agreement if self.evaluation.fidelity else None


class ModelSection(Section):
    """A model file.

    Attributes:
        role: ``fp32`` (the prepared baseline), ``int8`` (QLinear) or ``qdq``.
        file: Path relative to the run's folder.
        sha256: Hash of the file's bytes.
        graph_sha256: Hash of the model without its metadata.
        bytes: Size.
        opset: Version of the default operator set.
        ops: Op type (with its domain where that is not the default) to number of nodes, sorted.
        multiply_adds: Of one run on one image, by the file alone; None if no product's shape is known.
        integer_share: Share of them in int8, a fraction; None if no product's shape is known.
        selection: On the images that trials were evaluated on.
        certification: On the images that no trial saw; None if none were kept.
    """

    role: Role
    file: str
    sha256: str
    graph_sha256: str
    bytes: PositiveInt
    opset: int
    ops: dict[str, int]
    multiply_adds: int | None = None
    integer_share: float | None = None
    selection: AccuracySection
    certification: AccuracySection | None

    @property
    def deciding(self) -> AccuracySection:
        """Return what the verdict rests on: the certification images where some were kept."""
        return self.certification or self.selection


class PublishedSection(Section):
    """Accuracy that somebody else published, to be held against the run's own.

    Attributes:
        role: The kind of file that it was measured with.
        top1: A fraction; None if it was not published.
        top5: A fraction; None if it was not published.
        source: Who published it.
    """

    role: Role
    top1: float | None
    top5: float | None
    source: str


class SourceSection(Section):
    """The model that the user gave.

    Attributes:
        path: As the user named it.
        sha256: Hash of its bytes.
        weights_sha256: Hash over its weights' values, whatever the opset.
        opset: Version of the default operator set.
        catalog: Name in the catalog, where the weights are known.
        published: What was published of these weights; empty where nothing is known.
        input_layout: Where the channels of its image stand; None in reports that do not say so.
        input_dtype: The type of its image.
        output_dtype: The type of its scores.
    """

    path: str
    sha256: str
    weights_sha256: str
    opset: int
    catalog: str | None
    published: tuple[PublishedSection, ...] = ()
    input_layout: str | None = None
    input_dtype: str | None = None
    output_dtype: str | None = None


class FormatsSection(Section):
    """Whether the two formats say the same.

    Attributes:
        agreement: Share of those evaluation images with the same top-1, in expectation over ties.
        required: The least share that is accepted.
        largest_difference: Largest difference of a score.
        images: How many of them both were run on; None in earlier reports.
    """

    agreement: float
    required: float
    largest_difference: float
    images: int | None = None


class LayerFindingSection(Section):
    """What one layer of a written file does, fed fp32's inputs, beside what its grids predict.

    Attributes:
        layer: Name of the fp32 model's node.
        op_type: Its operator.
        file: ``int8`` or ``qdq``.
        error: Root mean square of the difference from fp32, in units of the layer's result.
        predicted: The same as the steps of its grids, and what they clip, predict it.
        ratio: The first over the second.
    """

    layer: str
    op_type: str
    file: Role
    error: float
    predicted: float
    ratio: float


class LayerCheckSection(Section):
    """Every quantized layer of the written files against what its grids predict.

    Attributes:
        images: Calibration images that the layers were fed.
        checked: The layers of both files, by the fp32 model's names.
        allowed: The ratio above which a layer is wrong.
        worst: The layer of the largest ratio in the files; None if there is no quantized layer.
        to_float: What layers did that were wrong and compute in float in the files.
    """

    images: int
    checked: tuple[str, ...]
    allowed: float
    worst: LayerFindingSection | None
    to_float: tuple[LayerFindingSection, ...] = ()


class LayerErrorSection(Section):
    """One layer.

    Attributes:
        node: Name of the fp32 model's node.
        op_type: Its operator.
        sqnr_decibel: Energy of the fp32 layer's result over that of the difference, in dB; None if they are equal.
    """

    node: str
    op_type: str
    sqnr_decibel: float | None
