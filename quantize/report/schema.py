"""The report of a run: one JSON file that everything else is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from quantize.measurement.machine.loads import Resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.timing.measurement import Measurement
from quantize.models.contract import Task
from quantize.recipe import EngineName
from quantize.report.advice import ConclusionSection
from quantize.report.all_cores import AllCoresSection
from quantize.report.criterion import CriterionSection, Status, VerdictSection
from quantize.report.data import DataSection, FlipsSection, InputContractSection, PreprocessingSection
from quantize.report.graph import GraphSection
from quantize.report.models import FormatsSection, LayerCheckSection, LayerErrorSection, ModelSection, SourceSection
from quantize.report.provenance import MachineSection, Provenance, ReplaySection, StageSection
from quantize.report.renamed_keys import with_new_names
from quantize.report.rough import RoughSection
from quantize.report.scores import ScoresSection
from quantize.report.search import LostSection, PlacementSection, SearchSection
from quantize.report.section import Section
from quantize.report.trials import ChosenSection, RewriteSection, TrialSection
from quantize.target import computes_otherwise


class EngineSection(Section):
    """What one engine came to.

    Attributes:
        engine: Its name.
        written: Whether the run's models are its own; those of another are in a folder named after it.
        status: The verdict on its models, both formats taken together.
        reasons: What made it so, one sentence each.
        stopped_because: Why its search ended.
        chosen: What its models were built from.
        models: Its models: ``int8``, then ``qdq``.
        measured: Role to the name in the run's measurement.
        trials: Its trials in order.
        search: How it searched, where it predicted and measured times.
        seconds: How long its search took.
        peak_bytes: Largest resident set of the process that searched; that of ``inc`` and ``ort`` is a child of this
            tool's, which keeps the images and evaluates. None if the system does not tell.
        placement: Where its layers compute, and why; None if its search itself decided that.
        lost: Trials that met the criterion, and whose written files do not.
    """

    engine: EngineName
    written: bool
    status: Status
    reasons: tuple[str, ...]
    stopped_because: str
    chosen: ChosenSection
    models: tuple[ModelSection, ...]
    measured: dict[str, str]
    trials: tuple[TrialSection, ...]
    search: SearchSection | None
    seconds: float
    peak_bytes: int | None
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()


class RunReport(Section):
    """Everything that a run found.

    Attributes:
        schema_version: Version of this schema.
        verdict: Whether the criterion is met.
        criterion: The requested accuracy and speed.
        engine: The engine that tuned, ``both`` or ``all``: then ``chosen`` says which one the models are from.
        source: The model that the user gave.
        data: The images.
        preprocessing: How they become the model's input.
        baseline: The prepared fp32 model.
        models: The written models: ``int8``, then ``qdq``.
        formats: Whether the two formats agree; None if scores mean nothing.
        chosen: What they were built from.
        rewrites: What each graph rewrite did.
        trials: Every trial in order.
        search: How the engine searched, where it predicted and measured times.
        engines: Each engine where several searched, side by side; empty where one did.
        measurement: Latencies, interleaved; None if none were asked for.
        all_cores: Both files against fp32 on all cores; None where the latencies are of all cores, where there is one
            core, of a quick run, and in reports of earlier versions.
        resources: Memory and load time of each model; empty where they were not measured.
        profile: Time of every operator, fp32 against int8; None if it was not measured.
        flips: Images on which the int8 model's answer is another than fp32's; None if that was not looked at.
        input_contract: What the models' input was changed to; None if it is as it was.
        placement: Where the layers compute; None if the engine's search itself decided that.
        lost: Trials that met the criterion, and whose written files do not.
        no_integers: Why no layer of the models computes on integers, in sentences; empty where one does, and in reports
            of earlier versions.
        layers: Error of each layer; empty where it was not measured.
        layer_check: The layers of the files against what their grids predict; None in reports of earlier versions.
        scores: What is judged, where the files give more than that; None: their one output is.
        machine: The CPU and what int8 was expected to gain there; None in reports of earlier versions.
        replay: What this run repeats, and whether it gave the same models; None for a run of its own.
        stages: Where the time went.
        provenance: Hashes, versions, command.
        config: The resolved configuration, as in ``config.yaml``.
        notes: What a reader should know.
        graph: The prepared fp32 model's nodes; None for very large models, and in reports of earlier versions.
        rough: What a quick run rests on; None: it was a full run.
        conclusion: What to do, and a sentence each on accuracy, speed and size; None in reports of earlier versions.
    """

    schema_version: Literal[1] = 1
    verdict: VerdictSection
    criterion: CriterionSection
    engine: str
    source: SourceSection
    data: DataSection
    preprocessing: PreprocessingSection
    baseline: ModelSection
    models: Annotated[tuple[ModelSection, ...], Field(min_length=1)]
    formats: FormatsSection | None
    chosen: ChosenSection
    rewrites: tuple[RewriteSection, ...]
    trials: tuple[TrialSection, ...]
    measurement: Measurement | None
    all_cores: AllCoresSection | None = None
    resources: tuple[Resources, ...] = ()
    profile: Profile | None = None
    flips: FlipsSection | None = None
    input_contract: InputContractSection | None = None
    placement: PlacementSection | None = None
    lost: tuple[LostSection, ...] = ()
    no_integers: tuple[str, ...] = ()
    layers: tuple[LayerErrorSection, ...] = ()
    layer_check: LayerCheckSection | None = None
    scores: ScoresSection | None = None
    machine: MachineSection | None = None
    replay: ReplaySection | None = None
    stages: tuple[StageSection, ...]
    search: SearchSection | None = None
    engines: tuple[EngineSection, ...] = ()
    provenance: Provenance
    config: dict[str, object]
    notes: tuple[str, ...]
    graph: GraphSection | None = None
    rough: RoughSection | None = None
    conclusion: ConclusionSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _under_new_names(cls, values: Any) -> Any:
        return with_new_names(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _of_its_models(self) -> RunReport:
        roles = {section.role for section in self.models}
        if self.baseline.role != "fp32" or "fp32" in roles or len(roles) < len(self.models):
            raise ValueError("the roles are not of one fp32 model and one model a format")
        for measurement in (self.measurement, self.all_cores.measurement if self.all_cores is not None else None):
            if measurement is None:
                continue
            if measurement.names("baseline") != ("fp32",) or not roles <= set(measurement.names("candidate")):
                raise ValueError("a measurement that does not compare each model with fp32")
        return self

    @property
    def task(self) -> Task:
        """Return what the models say of an image."""
        return self.baseline.selection.evaluation.task

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
