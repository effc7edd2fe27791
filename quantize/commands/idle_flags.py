"""Flags that decide nothing beside others: refused, since whoever gives one expects something of it.

Settings in a file are shared by commands and never refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from quantize.config import RunConfig
from quantize.config.schema import Setting, settings
from quantize.errors import ConfigError

_JUDGING = ("relative", "absolute", "agreement", "confidence")
_TIMING = ("warmup", "iteration", "max_seconds", "cores_per_instance", "num_of_instance")
_SEARCHING = ("engine", "strategy", "placement", "timeout", "max_trials", "time_budget", "latency_table")


def given_flags(overrides: Mapping[str, object], **own: object) -> frozenset[str]:
    """Return the names of the flags that were given, without dashes.

    Args:
        overrides: Settings by dotted key; None for one that was not given.
        own: Flags of the command itself; None and False for one that was not given.
    """
    names = {setting.key: setting.flag for setting in settings()}
    return given_names({**{names[key]: value for key, value in overrides.items()}, **own})


def given_names(values: Mapping[str, object]) -> frozenset[str]:
    """Return the names of values that were given: those that are neither None nor False."""
    return frozenset(name for name, value in values.items() if value is not None and value is not False)


def refuse_idle(given: Iterable[str], idle: Iterable[str], why: str, advice: str) -> None:
    """Refuse flags that decide nothing.

    Args:
        given: The names of the flags that were given.
        idle: Those that have no effect here.
        why: The reason, a sentence without its stop.
        advice: What to do besides leaving them out.

    Raises:
        ConfigError: One of them was given.
    """
    found = [f"--{name}" for name in idle if name in set(given)]
    if found:
        raise ConfigError(
            f"no effect here: {why}",
            where=", ".join(found),
            advice=f"leave {'it' if len(found) == 1 else 'them'} out, or {advice}",
        )


def _changed(before: RunConfig, after: RunConfig) -> list[str]:
    """Return the flags of the settings that differ."""
    return [setting.flag for setting in settings() if _value(before, setting) != _value(after, setting)]


def _value(config: RunConfig, setting: Setting) -> object:
    value: object = config
    for part in setting.path:
        value = getattr(value, str(part))
    return value


def refuse_idle_for_benchmark(
    given: Iterable[str], mode: Literal["accuracy", "performance", "both"], *, compares: bool
) -> None:
    """Refuse flags that decide nothing in a benchmark.

    Args:
        given: The names of the flags that were given.
        mode: What is measured.
        compares: Whether there is an fp32 model to compare with.

    Raises:
        ConfigError: One of them was given.
    """
    both = "pass --mode both"
    if mode == "accuracy":
        speed = (*_TIMING, "precision", "batch_sizes", "profile")
        refuse_idle(given, speed, "--mode accuracy measures no speed", both)
    if mode == "performance":
        accuracy = ("label_path", "calibration_images", *_JUDGING)
        refuse_idle(given, accuracy, "--mode performance measures no accuracy", both)
    if not compares:
        alone = (*_JUDGING, "precision", "profile")
        refuse_idle(given, alone, "the model is compared with none", "name the fp32 model with --baseline_model")


def refuse_idle_for_tune(
    given: Iterable[str], config: RunConfig, *, resumes: bool, replays: bool, judges: bool
) -> None:
    """Refuse flags that decide nothing in a tuning run.

    Args:
        given: The names of the flags that were given.
        config: The run's settings, flags included.
        resumes: Whether the run goes on in its folder.
        replays: Whether it builds the models of a report.
        judges: Whether a criterion decides.

    Raises:
        ConfigError: One of them was given.
    """
    if resumes:
        begun = ("output_model", "overwrite", "criterion", "skip_unreadable")
        refuse_idle(given, begun, "--resume goes on as the run began, in its folder", "begin another run")
    if replays:
        refuse_idle(
            given, _SEARCHING, "--replay builds the recipe of the report, and searches none", "leave out --replay"
        )
    if not judges:
        refuse_idle(given, _JUDGING, "--criterion none judges nothing", "leave out --criterion")
    if config.tuning.quick:
        from quantize.run.quick import bounded

        lowered = _changed(config, bounded(config))
        refuse_idle(given, lowered, "--quick takes less than that", "leave out --quick")
    if config.data.calibration_list is not None:
        refuse_idle(given, ["sampling_size"], "--calibration_list names the images", "leave out the list")
    engine = config.tuning.engine
    if engine in ("native", "ort"):
        why = f"only Neural Compressor has strategies, and the engine is {engine}"
        refuse_idle(given, ["strategy"], why, "pass --engine inc")
    if engine == "native":
        refuse_idle(given, ["placement"], "the search of native places the layers itself", "pass --engine inc or ort")
    if engine in ("inc", "ort"):
        why = f"only the search of native takes recorded latencies, and the engine is {engine}"
        refuse_idle(given, ["latency_table"], why, "pass --engine native")
