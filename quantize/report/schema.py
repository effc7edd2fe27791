"""The report of a run: one JSON file that everything else is drawn from."""

from __future__ import annotations

from typing import Literal

from quantize.measurement.machine.resources import Resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.timing.measurement import Measurement
from quantize.report.criterion import CriterionSection, VerdictSection
from quantize.report.data import DataSection, PreprocessingSection
from quantize.report.engines import EngineSection
from quantize.report.flips import FlipsSection
from quantize.report.input_contract import InputContractSection
from quantize.report.layers import LayerErrorSection
from quantize.report.machine import MachineSection
from quantize.report.models import FormatsSection, ModelSection, SourceSection
from quantize.report.placement import LostSection, PlacementSection
from quantize.report.provenance import Provenance
from quantize.report.replay import ReplaySection
from quantize.report.search import SearchSection
from quantize.report.section import Section
from quantize.report.stages import StageSection
from quantize.report.trials import ChosenSection, RewriteSection, TrialSection
from quantize.target import computes_otherwise


class RunReport(Section):
    """Everything that a run found.

    Attributes:
        schema_version: Version of this schema.
        verdict: Whether the criterion is met.
        criterion: What was asked for.
        engine: The engine that tuned, ``both`` or ``all``: then ``chosen`` says which one the models are from.
        source: The model that the user gave.
        data: The images.
        preprocessing: How they become the model's input.
        baseline: The prepared fp32 model.
        models: The written models: ``int8``, then ``qdq``.
        formats: Whether the two formats agree; None where scores mean nothing.
        chosen: What they were built from.
        rewrites: What each graph rewrite did.
        trials: Every trial in order.
        search: How the engine searched, where it predicted and measured times.
        engines: Each engine where several searched, side by side; empty where one did.
        measurement: Latencies, interleaved; None where none were asked for.
        resources: Memory and load time of each model; empty where they were not measured.
        profile: Time of every operator, fp32 against int8; None where it was not measured.
        flips: Images on which the int8 model's answer is another than fp32's; None where that was not looked at.
        input_contract: What the models' input was changed to; None where it is as it was.
        placement: Where the layers compute; None where the engine's search itself decided that.
        lost: Trials that met the criterion, and whose written files do not.
        layers: Error of each layer; empty where it was not measured.
        machine: The CPU and what int8 was expected to gain there; None in reports of earlier versions.
        replay: What this run repeats, and whether it gave the same models; None for a run of its own.
        stages: Where the time went.
        provenance: Hashes, versions, command.
        config: The resolved configuration, as in ``config.yaml``.
        notes: What a reader should know.
    """

    schema_version: Literal[1] = 1
    verdict: VerdictSection
    criterion: CriterionSection
    engine: str
    source: SourceSection
    data: DataSection
    preprocessing: PreprocessingSection
    baseline: ModelSection
    models: tuple[ModelSection, ...]
    formats: FormatsSection | None
    chosen: ChosenSection
    rewrites: tuple[RewriteSection, ...]
    trials: tuple[TrialSection, ...]
    measurement: Measurement | None
    resources: tuple[Resources, ...] = ()
    profile: Profile | None = None
    flips: FlipsSection | None = None
    input_contract: InputContractSection | None = None
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()
    layers: tuple[LayerErrorSection, ...] = ()
    machine: MachineSection | None = None
    replay: ReplaySection | None = None
    stages: tuple[StageSection, ...]
    search: SearchSection | None = None
    engines: tuple[EngineSection, ...] = ()
    provenance: Provenance
    config: dict[str, object]
    notes: tuple[str, ...]

    @property
    def measured_on_target(self) -> bool:
        """Return whether the CPU that measured is of the class that the models are for, as far as the report says."""
        return self.provenance.cpu_class in (None, self.chosen.target)

    @property
    def cpus(self) -> str:
        """Return which CPUs the models are for, and what of the figures holds there, in sentences."""
        here = self.provenance.cpu_class
        if here is None or self.measured_on_target:
            return self.chosen.cpus
        text = f"{self.chosen.cpus} Measured on a CPU of class {here}"
        if computes_otherwise(here, self.chosen.target):
            text += "; accuracy in exact sessions, which compute as the target does"
        return f"{text}."

    def of_engine(self, engine: EngineSection) -> RunReport:
        """Return the report with one engine's models, what they were built from and their verdict in one word.

        It is what the facts in that engine's files are drawn from; everything else stays the run's.
        """
        verdict = self.verdict.model_copy(update={"status": engine.status})
        return self.model_copy(update={"models": engine.models, "chosen": engine.chosen, "verdict": verdict})

    def model(self, role: str) -> ModelSection:
        """Return the model of a role: ``fp32``, ``int8`` or ``qdq``.

        Raises:
            KeyError: There is none.
        """
        for section in (self.baseline, *self.models):
            if section.role == role:
                return section
        raise KeyError(role)
