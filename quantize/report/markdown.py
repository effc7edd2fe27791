"""The report as Markdown, for a pull request."""

from __future__ import annotations

import shlex
from pathlib import Path

from quantize.report.conclusion import conclusion
from quantize.report.data import preprocessing_name
from quantize.report.format_words import formats_sentence
from quantize.report.layer_words import check_words
from quantize.report.provenance import replay_sentences
from quantize.report.schema import RunReport
from quantize.report.table import NAMES, Table
from quantize.report.tables import report_tables
from quantize.report.wording import megabytes, one_line

_LONGEST = 1000
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;"})


def markdown(report: RunReport) -> str:
    """Return the whole report as GitHub-flavoured Markdown."""
    verdict, told = report.verdict, conclusion(report)
    lines = [f"# {escaped(Path(report.source.path).name)}: {escaped(verdict.headline)}", ""]
    lines += [f"**{escaped(told.recommendation)}**", ""]
    lines += [f"- {point.subject}: {escaped(point.text)}" for point in told.points]
    lines += ["", escaped(verdict.text), ""]
    lines += [f"- {escaped(reason)}" for reason in verdict.reasons]
    lines += [f"- Tuning ended because {escaped(verdict.ended)}.", ""]
    if report.replay is not None:
        lines += [*(f"- {escaped(sentence)}" for sentence in replay_sentences(report.replay)), ""]
    for table in report_tables(report):
        lines += markdown_table(table)
    lines += _formats(report) + _skipped(report) + _notes(report) + _provenance(report)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return one_line(text, _LONGEST).translate(_SPECIAL)


def markdown_table(table: Table) -> list[str]:
    """Return a table, with its heading and notes, as lines of Markdown."""
    lines = [f"## {escaped(table.title)}", ""]
    lines.append("| " + " | ".join(escaped(column) for column in table.columns) + " |")
    lines.append("|" + "---|" + ("---|" if table.prose else "---:|") * (len(table.columns) - 1))
    lines += ["| " + " | ".join(escaped(word) for word in row) + " |" for row in table.rows]
    lines.append("")
    for note in table.notes:
        lines += [escaped(note), ""]
    return lines


def _formats(report: RunReport) -> list[str]:
    lines = []
    if report.formats is not None:
        lines += [formats_sentence(report.formats, report.task), ""]
    if report.layer_check is not None:
        lines += [escaped(check_words(report.layer_check)), ""]
    return lines


def _skipped(report: RunReport) -> list[str]:
    skipped = report.data.skipped
    if not skipped:
        return []
    lines = [f"## {len(skipped):,} images could not be read and were left out", ""]
    lines += [*(f"- {escaped(image.id)}: {escaped(image.reason)}" for image in report.data.listed_skipped), ""]
    return [*lines, report.data.more_skipped, ""] if report.data.more_skipped else lines


def _notes(report: RunReport) -> list[str]:
    notes = (*report.data.notes, *report.notes)
    return ["## Notes", "", *(f"- {escaped(note)}" for note in notes), ""] if notes else []


def provenance_facts(report: RunReport) -> dict[str, str]:
    """Return what the figures came from, name to text."""
    origin, source = report.provenance, report.source
    return {
        "command": shlex.join(origin.command),
        "created": origin.created,
        "model": f"{source.path}, sha256 {source.sha256}" + (f" ({source.catalog})" if source.catalog else ""),
        "recipe": f"{report.chosen.recipe_id}, engine {report.engine}",
        "CPUs": report.cpus,
        "data": f"{report.data.path}, fingerprint {origin.data_fingerprint[:16]}",
        "preprocessing": f"{preprocessing_name(report.preprocessing)}, "
        f"fingerprint {origin.preprocessing_fingerprint[:16]}",
        "configuration": f"fingerprint {origin.config_fingerprint[:16]}",
        "versions": ", ".join(f"{name} {version}" for name, version in origin.versions.items()),
        "commit": (origin.tool.git_commit or "none") + (" (with changes)" if origin.tool.git_dirty else ""),
        "instruction sets": ", ".join(origin.isa),
        **{
            NAMES[model.role]: f"{model.file}, {megabytes(model.bytes)}, sha256 {model.sha256}"
            for model in report.models
        },
    }


def _provenance(report: RunReport) -> list[str]:
    facts = provenance_facts(report)
    return ["## Provenance", "", *(f"- {name}: {escaped(text)}" for name, text in facts.items()), ""]
