"""From a file and flags to the settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from quantize.config.aliases import replace_aliases
from quantize.config.cores import available_cores, fitted
from quantize.config.dataloader import read_dataloaders
from quantize.config.document import Document
from quantize.config.evaluation import InstanceBlock
from quantize.config.legacy import set_unused_aside
from quantize.config.overrides import apply_overrides
from quantize.config.problem import error_of, in_file_order
from quantize.config.run_config import RunConfig
from quantize.config.validation import fill_blanks, problems_of
from quantize.config.yaml_file import read_document


def load_config(path: Path | None, overrides: Mapping[str, object], *, cores: int | None = None) -> RunConfig:
    """Return the settings of a run: those of the file, the flags' laid over them, defaults for the rest.

    Args:
        path: A file in this tool's dialect or Neural Compressor 1.x's, or None for the defaults.
        overrides: Values of flags by dotted key; None stands for a flag that was not given.
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
    instances = fitted(wanted, document, available_cores() if cores is None else cores, notes)
    if document.problems:
        raise error_of(in_file_order(document.problems))
    return _with(config, instances, tuple(note for note in notes if note not in config.notes))


def _with(config: RunConfig, instances: InstanceBlock, notes: tuple[str, ...]) -> RunConfig:
    performance = config.evaluation.performance.model_copy(update={"configs": instances})
    evaluation = config.evaluation.model_copy(update={"performance": performance})
    return config.model_copy(update={"evaluation": evaluation, "notes": config.notes + notes})
