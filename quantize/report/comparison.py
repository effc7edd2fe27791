"""Runs side by side, in the order of the arguments, and what changed from each to the next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import PurePath
from typing import Any, Literal

from quantize.config.leaves import leaves
from quantize.measurement.timing.measurement import latency, speedups
from quantize.report.conclusion import conclusion
from quantize.report.data import preprocessing_name
from quantize.report.layer_map import COMPUTES, LayerRow, layer_rows
from quantize.report.schema import RunReport
from quantize.report.table import NAMES, Table
from quantize.report.task_words import words
from quantize.report.wording import (
    NOTHING,
    megabytes,
    milliseconds,
    number,
    one_line,
    percent,
    points,
    times_with_bounds,
)

_SHOWN = 40
_LONGEST = 80
_Runs = Sequence[tuple[str, RunReport]]

ChangeKind = Literal["setting", "recipe", "version", "layer", "image"]
_HEADINGS: Mapping[ChangeKind, tuple[str, str]] = {
    "setting": ("Settings", "setting"),
    "recipe": ("Recipe", "part"),
    "version": ("Versions", "package"),
    "layer": ("Layers", "layer"),
    "image": ("Images", "image"),
}


@dataclass(frozen=True)
class Change:
    """What differs from one run to the next.

    Attributes:
        kind: What kind of thing it is: a setting, a part of the recipe, a package's version, how a layer computes, or
            int8's answer to an image.
        name: Its name: the setting's dotted key, the package, the layer, the image.
        first: The run before.
        before: What it was there, in words; a dash for nothing.
        second: The run after it.
        after: What it is there.
    """

    kind: ChangeKind
    name: str
    first: str
    before: str
    second: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """What two runs or more have in common, and what not.

    Attributes:
        names: What each run is called: the shortest part of its path that tells it from the others.
        sides: The figures, a column a run.
        differences: Everything that changed from each run to the next.
        changes: The same as tables, the longest ones cut; those without a row are left out.
        notes: What keeps figures from being compared.
    """

    names: tuple[str, ...]
    sides: Table
    differences: tuple[Change, ...]
    changes: tuple[Table, ...]
    notes: tuple[str, ...]


def compare(runs: _Runs) -> Comparison:
    """Return named runs side by side.

    Args:
        runs: Each run's path, as the user named it, and its report; two or more.
    """
    names = short_names([name for name, _ in runs])
    reports = [report for _, report in runs]
    differences: list[Change] = []
    changes: list[Table] = []
    for (first, before), (second, after) in pairwise(zip(names, reports, strict=True)):
        found = list(_differences(first, before, second, after))
        differences += found
        changes += _tables(found, {"image": _answers(first, before, second, after)})
    return Comparison(names, _sides(names, reports), tuple(differences), tuple(changes), tuple(_notes(reports)))


def short_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the last part of each path, and as much before it as tells the paths apart."""
    parts = [[part for part in PurePath(path).parts if part != "report.json"] or [path] for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({place})" for place, name in enumerate(names, 1))


def _sides(names: Sequence[str], reports: Sequence[RunReport]) -> Table:
    sides = [dict(_figures(report)) for report in reports]
    rows = tuple(
        (key, *(side.get(key, NOTHING) for side in sides)) for key in dict.fromkeys(k for s in sides for k in s)
    )
    return Table("Side by side", ("figure", *names), rows, prose=True)


def _figures(report: RunReport) -> Iterator[tuple[str, str]]:
    told, task = conclusion(report), words(report.task)
    yield "verdict", report.verdict.headline
    yield "recommendation", told.recommendation
    yield "model", PurePath(report.source.path).name
    yield "engine", f"{report.engine}, recipe {report.chosen.recipe_id}"
    yield "created", f"{report.provenance.created[:16].replace('T', ' ')} UTC"
    yield (
        "images",
        f"{report.models[0].deciding.evaluation.n:,}, preprocessing {preprocessing_name(report.preprocessing)}",
    )
    if report.chosen.layers is not None:
        yield "layers in int8", f"{report.chosen.int8_layers} of {report.chosen.layers}"
    accuracy = report.baseline.deciding.evaluation.accuracy
    yield f"fp32: {task.accuracy}", percent(accuracy.expected if accuracy else None)
    gains = {gain.candidate: gain for gain in speedups(report.measurement)} if report.measurement is not None else {}
    for model in report.models:
        name, evaluation = NAMES[model.role], model.deciding.evaluation
        fidelity, paired = evaluation.fidelity, model.deciding.paired
        yield f"{name}: {task.accuracy}", percent(evaluation.accuracy.expected if evaluation.accuracy else None)
        yield f"{name}: drop in points", points(paired.drop if paired is not None else None)
        yield f"{name}: agreement with fp32", percent(fidelity.agreement if fidelity else None)
        yield f"{name}: KL from fp32", number(fidelity.mean_kl if fidelity else None)
        yield f"{name}: speed-up, 95 %", times_with_bounds(gains.get(model.role))
        taken = latency(report.measurement, model.role).p50_ns if report.measurement is not None else None
        yield f"{name}: latency, p50", milliseconds(taken)
        yield f"{name}: size", megabytes(model.bytes)
    if report.measurement is not None:
        yield "CPU", f"{report.measurement.environment.cpu_model}, {_threads(report.measurement.plan.threads)}"
    yield "onnxruntime", report.provenance.versions.get("onnxruntime", NOTHING)


def _threads(count: int) -> str:
    return f"{count} thread" + ("" if count == 1 else "s")


def _differences(first: str, before: RunReport, second: str, after: RunReport) -> Iterator[Change]:
    leaves: tuple[tuple[ChangeKind, dict[str, str], dict[str, str]], ...] = (
        ("setting", _texts(before.config), _texts(after.config)),
        ("recipe", _texts(_recipe(before)), _texts(_recipe(after))),
        ("version", dict(before.provenance.versions), dict(after.provenance.versions)),
    )
    rows: list[tuple[ChangeKind, str, str, str]] = [
        (kind, key, old.get(key, NOTHING), new.get(key, NOTHING))
        for kind, old, new in leaves
        for key in sorted({*old, *new})
    ]
    rows += [("layer", *row) for row in _layer_rows(before, after)]
    rows += [("image", *row) for row in _image_rows(before, after)]
    for kind, name, was, became in rows:
        if was != became:
            before_shown, after_shown = _shown(was, became)
            yield Change(kind, name, first, before_shown, second, after_shown)


def _shown(was: str, became: str) -> tuple[str, str]:
    """Return two texts that differ, cut where what differs begins before the cut."""
    if was[: _LONGEST // 2] == became[: _LONGEST // 2]:
        return was, became
    return one_line(was, _LONGEST), one_line(became, _LONGEST)


def _tables(differences: Sequence[Change], notes: Mapping[ChangeKind, str]) -> Iterator[Table]:
    """Yield a table for each kind of change from one run to the next."""
    for kind, group in groupby(differences, lambda change: change.kind):
        changes = list(group)
        title, what = _HEADINGS[kind]
        told = [notes[kind]] if kind in notes else []
        told += [f"{len(changes) - _SHOWN:,} more changed."] if len(changes) > _SHOWN else []
        yield Table(
            f"{title} that changed from {changes[0].first} to {changes[0].second}",
            (what, changes[0].first, changes[0].second),
            tuple((change.name, change.before, change.after) for change in changes[:_SHOWN]),
            tuple(told),
            prose=True,
        )


def _recipe(report: RunReport) -> Mapping[str, Any]:
    values = report.chosen.recipe.model_dump(mode="json")
    return {**values, "details": dict(values["details"]), "range_rules": dict(values["range_rules"])}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return every setting inside a mapping that is set, by its dotted name, as text."""
    texts: dict[str, str] = {}
    for name, value in leaves(values):
        if value not in (None, [], ""):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            texts[name] = text if isinstance(text, str) else json.dumps(text)
    texts.pop("notes", None)
    return texts


def _layer_rows(before: RunReport, after: RunReport) -> list[tuple[str, str, str]]:
    """Return the layers that compute in another way."""
    old, new = ({row.name: row for row in layer_rows(report)} for report in (before, after))
    rows = []
    for name in (name for name in old if name in new):
        one, other = old[name], new[name]
        if one.computes != other.computes:
            rows.append((name, _computed(one), _computed(other)))
    return rows


def _computed(row: LayerRow) -> str:
    taken = "" if row.int8_ns is None else f", {milliseconds(row.int8_ns, 3)}"
    return f"{COMPUTES[row.computes]}{taken}"


def _image_rows(before: RunReport, after: RunReport) -> list[tuple[str, str, str]]:
    """Return int8's answers to the images that changed against fp32 in either run; none where the images are others."""
    old, new = before.flips, after.flips
    if old is None or new is None or before.provenance.data_fingerprint != after.provenance.data_fingerprint:
        return []
    mine, theirs = ({flip.id: flip for flip in flips.shown} for flips in (old, new))
    return [(name, _answer(mine.get(name)), _answer(theirs.get(name))) for name in sorted({*mine, *theirs})]


def _answers(first: str, before: RunReport, second: str, after: RunReport) -> str:
    """Return how many images int8 answers otherwise than fp32 in either run, and in both."""
    old, new = before.flips, after.flips
    if old is None or new is None:
        return ""
    listed = old.count == len(old.shown) and new.count == len(new.shown)
    both = len({flip.id for flip in old.shown} & {flip.id for flip in new.shown})
    return (
        f"Of {old.images:,} images, int8 differs from fp32 on {old.count:,} in {first} and on {new.count:,} in "
        f"{second}; on {both:,} in both{'' if listed else ', as far as the reports list them'}."
    )


def _answer(flip: Any) -> str:
    if flip is None:
        return "as fp32"
    return f"{flip.candidate_name or flip.candidate} ({flip.effect})"


def _notes(reports: Sequence[RunReport]) -> Iterator[str]:
    images = {report.provenance.data_fingerprint for report in reports}
    if len(images) > 1:
        yield "The runs were judged on different images, so their accuracies cannot be compared."
    places = sorted({report.measurement.environment.cpu_model for report in reports if report.measurement is not None})
    if len(places) > 1:
        yield f"Measured on different processors ({', '.join(places)}): compare speed-ups with care."
    if len({report.source.weights_sha256 for report in reports}) > 1:
        yield "The runs are of different models."
