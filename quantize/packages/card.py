"""A model card in the model zoo's format."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import quote

from quantize.measurement.timing.measurement import speedups
from quantize.models.contract import Task
from quantize.quoting import quoted, visible
from quantize.report.markdown import escaped
from quantize.report.models import ModelSection
from quantize.report.schema import RunReport
from quantize.report.speed_tables import stored_sentence
from quantize.report.task_words import words
from quantize.report.wording import percent, times

_COLUMNS = ("Model", "Download", "Download (with sample test data)", "ONNX version", "Opset version")
_ACCURACY: dict[Task, tuple[str, ...]] = {
    "one class": ("Top-1 accuracy (%)", "Top-5 accuracy (%)"),
    "yes or no": ("Accuracy (%)",),
    "labels": ("mAP (%)",),
}
_PIXEL_LAYOUTS = {"uint8-nhwc": "NHWC", "uint8-nchw": "NCHW"}
_KINDS = {"fp32": "", "int8": "-int8", "qdq": "-qdq"}


def model_card(report: RunReport, title: str, licence: str) -> str:
    """Return the Markdown of a run's model card: the same for both of its packages.

    Args:
        report: The run.
        title: What people call the fp32 model.
        licence: One sentence on the licence.
    """
    parts = [
        [f"# {escaped(title)}, int8", "", escaped(report.verdict.text)],
        ["## Model", "", *_table(report, title), "", *_sentences(report, title), "", *_notes(report)],
        ["## Accuracy", "", *_accuracy(report)],
        ["## Calibration", "", *_calibration(report)],
        ["## Preprocessing", "", *_preprocessing(report)],
        ["## Sample test data", "", *_sample(report)],
        ["## How to reproduce", "", *_reproduction(report)],
        ["## Provenance", "", *_origin(report)],
        ["## License", "", escaped(licence)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _sample(report: RunReport) -> list[str]:
    drawn = (
        "`test_data_set_0` holds one input and the output that this model gave. The input is a drawn picture, "
        "preprocessed as above. Scores differ by less than 0.0001, as a fraction of the largest score where that "
        "exceeds 1, on "
    )
    if report.chosen.saturating_layers == 0:
        return [f"{drawn}any CPU: no sum of integer products can saturate."]
    return [
        f"{drawn}a CPU with VNNI, or arm64. On others, products are summed in 16 bits, which can saturate: scores can "
        "differ by more there, and the model is another one."
    ]


def _table(report: RunReport, title: str) -> list[str]:
    columns = (*_COLUMNS, *_ACCURACY[report.task])
    lines = ["|" + "|".join(columns) + "|", "|" + "|".join(["---"] + [":---"] * (len(columns) - 1)) + "|"]
    version = ".".join(report.provenance.versions.get("onnx", "–").split(".")[:2])
    for model in (report.baseline, *report.models):
        evaluation, size = model.deciding.evaluation, f"{model.bytes / 1e6:.2f} MB"
        name = PurePath(model.file).name
        archive = f"{Path(name).stem}.tar.gz"
        links = [size, "–"] if model.role == "fp32" else [_link(size, name), _link(size, archive)]
        tops = (evaluation.accuracy, evaluation.top5)[: len(_ACCURACY[report.task])]
        accuracy = [f"{top.expected * 100:.2f}" if top is not None else "–" for top in tops]
        opset = report.source.opset if model.role == "fp32" else model.opset
        row = [escaped(f"{title}{_KINDS[model.role]}"), *links, escaped(version), str(opset), *accuracy]
        lines.append("|" + "|".join(row) + "|")
    return lines


def _link(text: str, name: str) -> str:
    return f"[{text}]({quote(name, errors='replace')})"


def _code(text: str) -> str:
    return f"`{quoted(text).replace('`', '')}`"


def _sentences(report: RunReport, title: str) -> list[str]:
    gains = {} if report.measurement is None else {gain.candidate: gain for gain in speedups(report.measurement)}
    speed, lines = report.verdict.speed, []
    accuracy = words(report.task).accuracy
    for model in report.models:
        figures = []
        first = accuracy[0].upper() + accuracy[1:]
        for name, paired in ((first, model.deciding.paired), ("Top-5", model.deciding.top5)):
            if paired is not None and paired.relative_drop is not None:
                figures.append(f"{_accuracy_of(name)} drop ratio is {percent(paired.relative_drop)}")
        if (gain := gains.get(model.role)) is not None and (speed is None or speed.for_target):
            slower = speed is not None and bool(speed.slower)
            figures.append(f"{'speed' if slower else 'performance improvement'} is {times(gain.ratio)}")
        if figures:
            listed = " and ".join([", ".join(figures[:-1]), figures[-1]] if len(figures) > 1 else figures)
            lines.append(f"Compared with the fp32 {escaped(title)}, {escaped(title)}{_KINDS[model.role]}'s {listed}.")
    return lines


def _accuracy_of(name: str) -> str:
    """Return the name of a figure as a card says it: "Top-1 accuracy", but "mAP"."""
    return f"{name} accuracy" if name.startswith("Top") else name


def _notes(report: RunReport) -> list[str]:
    lines = ["> **Note**", ">"]
    lines.append("> Different preprocessing gives different accuracy: the table was measured with the one below.")
    if report.measurement is not None:
        plan, machine = report.measurement.plan, report.measurement.environment
        lines += [
            ">",
            f"> The performance depends on the test hardware. Performance data here is collected with "
            f"{escaped(machine.cpu_model)}, {plan.threads} thread(s), {escaped(machine.operating_system)}, onnxruntime "
            f"{escaped(machine.onnxruntime)}, data batch size is {plan.batch_size}.",
        ]
    if report.data.demonstration:
        lines += [">", "> Measured on 20 photographs: this shows that the machinery works, not the accuracy."]
    return lines


def _accuracy(report: RunReport) -> list[str]:
    lines = [f"- {escaped(reason)}" for reason in report.verdict.reasons]
    for model in (report.baseline, *report.models):
        figure, name = model.deciding.evaluation.accuracy, words(model.deciding.evaluation.task).accuracy
        if figure is not None:
            low, high = figure.expected_interval.low, figure.expected_interval.high
            lines.append(
                f"- {model.role}: {name} {percent(figure.expected)} on {model.deciding.evaluation.n:,} images, "
                f"95 % interval {percent(low)} to {percent(high)}."
            )
    lines += [f"- {_fidelity(model)}" for model in report.models if model.deciding.evaluation.fidelity is not None]
    return lines or ["Not measured."]


def _fidelity(model: ModelSection) -> str:
    fidelity = model.deciding.evaluation.fidelity
    assert fidelity is not None
    return (
        f"{model.role}: {words(model.deciding.evaluation.task).same.replace('fp32', 'the fp32 model')} on "
        f"{percent(fidelity.agreement)} of the images; "
        f"ties on {percent(model.deciding.evaluation.tied_share)}."
    )


def _calibration(report: RunReport) -> list[str]:
    recipe, data = report.chosen.recipe, report.data
    among = "among" if data.calibration_in_evaluation else "not among"
    widths = "8-bit, 7-bit where sums could saturate" if recipe.reduce_range else "8-bit"
    per = "output channel" if recipe.per_channel else "tensor"
    stored = stored_sentence(report)
    return [
        f"- {data.calibration:,} images, {among} the {data.evaluation:,} evaluation images.",
        f"- Activations {recipe.activation_type}, range rule {escaped(recipe.range_rule)}; "
        f"weights {recipe.weight_type} ({widths}), one scale per {per}.",
        f"- {escaped(report.cpus)}",
        f"- Kept in fp32: {_listed((*recipe.float_op_types, *recipe.float_nodes))}.",
        *([f"- {stored}"] if stored is not None else []),
        f"- Rewrites: {_listed(recipe.rewrites)}. Corrections: {_listed(recipe.corrections)}.",
    ]


def _listed(names: Sequence[str]) -> str:
    return escaped(", ".join(names)) if names else "none"


def _preprocessing(report: RunReport) -> list[str]:
    chosen = report.preprocessing
    how = "both sides" if chosen.resize_mode == "square" else "the shorter side, aspect ratio kept,"
    crop = f", then a crop of {chosen.crop} pixels from the centre" if chosen.crop else ""
    crops = f"Resize {how} to {chosen.resize} pixels ({chosen.interpolation}){crop}."
    contract = report.input_contract.contract if report.input_contract is not None else None
    if contract in _PIXEL_LAYOUTS:
        return [
            f"{crops} The model takes the pixels as they are, {chosen.channel_order}, uint8, "
            f"{_shape(report, _PIXEL_LAYOUTS[contract])}: the normalization is folded into its first Conv, and so it "
            f"is in the fp32 model of the table ({escaped(PurePath(report.baseline.file).name)})."
        ]
    colours = ", in the order R, G, B" if len(chosen.mean) > 1 else ""
    return [
        f"Preset: {chosen.preset or 'none'}. {crops} "
        f"Each value 0-255 becomes (value * {chosen.scale:.8g} - mean) / std with mean {_triple(chosen.mean)} and "
        f"std {_triple(chosen.std)}{colours}. The model takes {chosen.channel_order}, "
        f"{_input(report)}."
    ]


def _input(report: RunReport) -> str:
    """Return the type and shape of what the files take, which is what the given model takes."""
    return f"{escaped(report.source.input_dtype or 'float32')}, {_shape(report, report.source.input_layout)}"


def _shape(report: RunReport, layout: str | None) -> str:
    channels = len(report.preprocessing.mean)
    return f"(N, height, width, {channels})" if layout == "NHWC" else f"(N, {channels}, height, width)"


def _triple(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.8g}" for value in values) + ")"


def _reproduction(report: RunReport) -> list[str]:
    command = [
        PurePath(word).name if position == 0 else word for position, word in enumerate(report.provenance.command)
    ]
    versions = ", ".join(f"{name} {version}" for name, version in report.provenance.versions.items())
    line = visible(shlex.join(command))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", line)), default=0))  # a fence within it ends none
    return [fence, line, fence, "", f"With {escaped(versions)}."]


def _origin(report: RunReport) -> list[str]:
    origin, source = report.provenance, report.source
    known = f", {escaped(source.catalog)} in the catalog" if source.catalog else ""
    return [
        f"- fp32 model{known}: sha256 {_code(source.sha256)}, weights {_code(source.weights_sha256)}",
        *(f"- {model.role}: graph sha256 {_code(model.graph_sha256)}" for model in report.models),
        f"- recipe {_code(report.chosen.recipe_id)}, made with {escaped(f'{origin.tool.name} {origin.tool.version}')}"
        + (f", commit {_code(origin.tool.git_commit)}" if origin.tool.git_commit else ""),
        f"- images {_code(origin.data_fingerprint)}, of these for calibration {_code(origin.calibration_fingerprint)}",
    ]
