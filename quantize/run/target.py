"""The CPUs that a run's models are for: asked once, at its start."""

from __future__ import annotations

from quantize.config.run_config import RunConfig
from quantize.errors import ConfigError
from quantize.measurement.machine.cpu_class import this_cpu_class
from quantize.target import CpuClass, computes_otherwise


def with_target(config: RunConfig) -> RunConfig:
    """Return the settings with the target as a class of CPUs: ``auto`` stands for this machine's.

    Raises:
        ConfigError: The environment names a class for this machine that there is not.
    """
    return _for(config, this_cpu_class()) if config.quantization.target == "auto" else config


def with_recorded_target(config: RunConfig, recorded: CpuClass, *, run: str) -> RunConfig:
    """Return the settings of a run that goes on or is repeated, with its own target.

    Args:
        config: All settings.
        recorded: The run's target.
        run: The run, for the error.

    Raises:
        ConfigError: Another target is asked for: it decides what the models are made of.
    """
    asked = config.quantization.target
    if asked not in ("auto", recorded):
        raise ConfigError(
            "the run is for other CPUs",
            where="quantization.target",
            found=asked,
            expected=f"{recorded}, as in {run}",
            advice="leave --target out to repeat or continue that run, or tune anew for other CPUs",
        )
    return _for(config, recorded)


def target_of(config: RunConfig, recorded: CpuClass | None) -> CpuClass:
    """Return the CPUs that models to be measured are for: as asked, else as their run says, else this machine's.

    Args:
        config: All settings.
        recorded: The target of the run that wrote them; None where no run says so.
    """
    if recorded is not None and config.quantization.target == "auto":
        return recorded
    return with_target(config).quantization.cpus


def is_exact(target: CpuClass) -> bool:
    """Return whether accuracy is measured in exact sessions: this machine may compute otherwise than the target."""
    return computes_otherwise(this_cpu_class(), target)


def target_in_words(config: RunConfig) -> str:
    """Return which CPUs the models are for, and whether this machine is one of them, for the first lines of a run."""
    target, here = config.quantization.cpus, this_cpu_class()
    if target == here:
        return f"target: {target}, this machine's class of CPUs"
    return f"target: {target}; this machine's class of CPUs is {here}"


def _for(config: RunConfig, target: CpuClass) -> RunConfig:
    quantization = config.quantization.model_copy(update={"target": target})
    return config.model_copy(update={"quantization": quantization})
