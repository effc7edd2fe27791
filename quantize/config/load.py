"""Load the settings of a run from a file and flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from quantize.config.aliases import replace_aliases
from quantize.config.dataloader import read_dataloaders
from quantize.config.document import Document, KeyPath
from quantize.config.legacy import set_unused_aside
from quantize.config.overrides import apply_overrides, is_flag
from quantize.config.problem import Problem, dotted, error_of, in_file_order
from quantize.config.run_config import InstanceBlock, RunConfig
from quantize.config.validation import fill_blanks, problems_of
from quantize.config.yaml_file import read_document
from quantize.processes.pool import available_cpus


def load_config(path: Path | None, overrides: Mapping[str, object], *, cores: int | None = None) -> RunConfig:
    """Return the settings of a run: those of the file, the flags' laid over them, defaults for the rest.

    Args:
        path: A file in this tool's dialect or Neural Compressor 1.x's, or None for the defaults.
        overrides: Values of flags by dotted key; None for a flag that was not given.
        cores: The machine's cores; by default those that this process may run on.

    Raises:
        ConfigError: Something in the file or the flags is wrong; it names the first ten, each with its place.
        KeyError: ``overrides`` has a key that is no setting.
    """
    document = Document("the settings") if path is None else read_document(path)
    notes: list[str] = []
    set_unused_aside(document, notes)
    read_dataloaders(document, notes)
    fill_blanks(document)
    apply_overrides(document, overrides, notes)
    replace_aliases(document, notes)
    try:
        config = RunConfig.model_validate(document.values)
    except ValidationError as error:
        raise error_of(in_file_order([*document.problems, *problems_of(error, document)])) from None
    wanted = config.evaluation.performance.configs
    instances = fitted(wanted, document, available_cpus() if cores is None else cores, notes)
    if document.problems:
        raise error_of(in_file_order(document.problems))
    return _with(config, instances, tuple(note for note in notes if note not in config.notes))


def _with(config: RunConfig, instances: InstanceBlock, notes: tuple[str, ...]) -> RunConfig:
    performance = config.evaluation.performance.model_copy(update={"configs": instances})
    evaluation = config.evaluation.model_copy(update={"performance": performance})
    return config.model_copy(update={"evaluation": evaluation, "notes": config.notes + notes})


_CONFIGS: KeyPath = ("evaluation", "performance", "configs")
_CORES: KeyPath = (*_CONFIGS, "cores_per_instance")
_INSTANCES: KeyPath = (*_CONFIGS, "num_of_instance")


def fitted(wanted: InstanceBlock, document: Document, cores: int, notes: list[str]) -> InstanceBlock:
    """Return the instances and cores that fit the machine.

    What a flag asks for is not changed: where it does not fit, that is a problem of the document. What a file asks
    for is cut down, with a note.

    Args:
        wanted: The requested instances and cores.
        document: Where each number came from; gains the problems.
        cores: The machine's cores.
        notes: Gains a note for each number that is cut down.
    """
    per_instance, instances = wanted.cores_per_instance, wanted.num_of_instance
    if per_instance * instances <= cores:
        return wanted
    fixed = [path for path in (_CORES, _INSTANCES) if is_flag(document.where(path))]
    least = (per_instance if _CORES in fixed else 1) * (instances if _INSTANCES in fixed else 1)
    if least > cores:
        document.problems.append(_too_many(document, fixed, least, cores))
        return wanted
    if _CORES not in fixed:
        per_instance = min(per_instance, cores // (instances if _INSTANCES in fixed else 1))
    if _INSTANCES not in fixed:
        instances = min(instances, cores // per_instance)
    for path, before, after in (
        (_CORES, wanted.cores_per_instance, per_instance),
        (_INSTANCES, wanted.num_of_instance, instances),
    ):
        if after != before:
            cut = f"{before} reduced to {after}: this machine has {_cores(cores)}"
            notes.append(f"{document.where(path)}: {dotted(path)}: {cut}")
    return InstanceBlock(cores_per_instance=per_instance, num_of_instance=instances)


def _too_many(document: Document, fixed: list[KeyPath], least: int, cores: int) -> Problem:
    return Problem(
        ", ".join(document.where(path) for path in fixed),
        "more cores than this machine has",
        found=_cores(least),
        expected=f"at most {_cores(cores)}, which this process may run on",
        advice="ask for fewer, or let the process run on more (taskset, container limits)",
    )


def _cores(number: int) -> str:
    return f"{number} core{'' if number == 1 else 's'}"
