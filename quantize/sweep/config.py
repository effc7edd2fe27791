"""The settings of a sweep: ``sweep.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from quantize.config.annotations import choices_of, expected_of
from quantize.config.document import Document
from quantize.config.nearest import nearest, one_of
from quantize.config.problem import Problem, dotted, error_of, in_file_order, shown
from quantize.config.pydantic_words import what_is_wrong
from quantize.config.values import Block, Count, Expected, Place, Seconds, Text
from quantize.config.yaml_file import read_document
from quantize.processes.pool import available_cpus
from quantize.recipe import EngineName
from quantize.target import Target

EngineSetting = Literal[EngineName, "both", "all"]


def _as_block(value: Any) -> Any:
    """Read a model's path alone as its block."""
    return {"path": value} if isinstance(value, str) else value


def _or_a_path(schema: dict[str, Any]) -> None:
    """Let a JSON Schema take a path alone too."""
    block = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "description": "The path of a model."}, block]


class SweepModel(Block):
    """One of the models."""

    model_config = ConfigDict(json_schema_extra=_or_a_path)

    path: Place = Field(description="The fp32 model.")
    name: Text | None = Field(default=None, description="What its runs are called; by default as the file.")
    config: Place | None = Field(default=None, description="Its settings, in place of `configs`.")


class SweepData(Block):
    """Where each worker finds the images; a settings file that names its own takes those."""

    path: Place | None = Field(default=None, description="Images, as each worker reads them.")
    labels: Place | None = Field(default=None, description="Their labels.")


class SweepConfig(Block):
    """A matrix of models, settings files, engines and targets, and the workers that tune it."""

    version: Literal[1] = Field(default=1, description="Of this form.")
    output: Place = Field(default=Path("runs/sweep"), description="The folder of the runs and the report.")
    models: tuple[Annotated[SweepModel, BeforeValidator(_as_block)], ...] = Field(
        min_length=1, description="The fp32 models: paths, or blocks with `path`, `name` and `config`."
    )
    configs: tuple[Place, ...] = Field(default=(), description="Settings files of `quantize tune`; none: the defaults.")
    engines: tuple[EngineSetting, ...] = Field(default=(), description="In place of that of the settings files.")
    targets: tuple[Target, ...] = Field(default=(), description="In place of those of the settings files.")
    data: SweepData = SweepData()
    scheduler: Annotated[
        Text | None, Expected("the address of a Dask scheduler, such as tcp://host:8786", "ADDRESS")
    ] = Field(default=None, description="The Dask scheduler; none: processes of this machine.")
    workers: Count | None = Field(
        default=None, description="Processes, where no scheduler is named: one of them tunes. (default: one per core)"
    )
    benchmark: tuple[Text, ...] = Field(
        default=(),
        description="Workers to mark as `benchmark`, by name (* stands for anything), besides those that are.",
    )
    shard: Count = Field(default=512, description="Images in a part of an evaluation.")
    wait: Seconds = Field(default=60, description="How long the sweep waits for a worker that it needs.")

    @property
    def local_workers(self) -> int:
        """Return how many processes of this machine work where no scheduler is named."""
        return self.workers or available_cpus()


def read_sweep(path: Path, overrides: Mapping[str, object]) -> SweepConfig:
    """Read a sweep's settings; flags win over the file.

    Args:
        path: The YAML file.
        overrides: Values by key; None for a flag that was not given.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong: with file, line and key.
    """
    document = read_document(path)
    for key, value in overrides.items():
        if value is not None:
            document.put((key,), value, where=f"--{key}")
    if document.has(("data",)) and document.get(("data",)) is None:
        document.take(("data",))
    config, problems = None, list(document.problems)
    try:
        config = SweepConfig.model_validate(document.values)
    except ValidationError as error:
        problems += _problems(error, document)
    if problems or config is None:
        raise error_of(in_file_order(problems))
    return config


def _problems(error: ValidationError, document: Document) -> list[Problem]:
    """Return a problem for each setting that is wrong; a list is not too short where one of its items is wrong."""
    details = {tuple(detail["loc"]): dict(detail) for detail in error.errors()}
    return [
        _problem(detail, document)
        for path, detail in details.items()
        if not any(other[: len(path)] == path for other in details if len(other) > len(path))
    ]


def _problem(detail: Mapping[str, Any], document: Document) -> Problem:
    path = tuple(detail["loc"])
    where = document.where(path, key=detail["type"] == "extra_forbidden")
    if detail["type"] == "extra_forbidden":
        keys = _block_at(path).model_fields
        meant = nearest(str(path[-1]), keys)
        return Problem(
            where,
            f"{dotted(path)}: unknown key",
            expected=one_of(keys),
            advice=f"did you mean `{meant}`?" if meant else None,
        )
    missing = detail["type"] == "missing"
    annotation = _annotation_at(path)
    choices = choices_of(annotation)
    given = detail["input"]
    meant = nearest(given, choices) if isinstance(given, str) and len(choices) > 1 else None
    what = "missing" if missing else what_is_wrong(detail)
    return Problem(
        where,
        what if where.startswith("--") else f"{dotted(path)}: {what}",
        found=None if missing else shown(given),
        expected=_words(path, annotation),
        advice=f"did you mean `{meant}`?" if meant else None,
    )


def _block_at(path: tuple[str | int, ...]) -> type[Block]:
    blocks: dict[str, type[Block]] = {"models": SweepModel, "data": SweepData}
    return blocks.get(str(path[0]), SweepConfig) if len(path) > 1 else SweepConfig


def _annotation_at(path: tuple[str | int, ...]) -> Any:
    """Return the type of a setting, or of what a list of them holds."""
    names = [part for part in path if isinstance(part, str)]
    field = _block_at(path).model_fields.get(names[-1])
    return (
        None
        if field is None
        else Annotated[(field.annotation, *field.metadata)]
        if field.metadata
        else field.annotation
    )


def _words(path: tuple[str | int, ...], annotation: Any) -> str:
    lists = {
        "models": "a list of models: paths, or blocks with `path`, `name` and `config`",
        "configs": "a list of settings files",
        "benchmark": "a list of names of workers",
        "data": "a block with `path` and `labels`",
    }
    words = expected_of(annotation).text
    if words != "a value":
        return (
            words if isinstance(path[-1], int) or str(path[-1]) not in ("engines", "targets") else f"a list of: {words}"
        )
    return lists.get(str(path[0]), words) if len(path) <= 2 else words
