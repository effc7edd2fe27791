"""All trials, and how the chosen candidate was built."""

from __future__ import annotations

from quantize.cpus.registry import CLASSES
from quantize.recipe import Recipe
from quantize.report.section import Section
from quantize.target import CpuClass


class FailureSection(Section):
    """Where and why a trial failed."""

    stage: str
    error: str


class TrialSection(Section):
    """One recipe that was tried.

    Attributes:
        index: Its place in the order of trials, from 0.
        recipe_id: Identity of what was tried.
        metric: The criterion's metric on the evaluation images that were looked at, a fraction; None if none was.
        met: Whether it met the criterion.
        agreement: Share of images with fp32's top-1.
        mean_kl: Mean KL(fp32 || candidate) in nats.
        integer_share: Share of the quantizable ops that it runs in int8.
        speedup: Baseline time / candidate time, where it was measured.
        seconds: Time spent on it.
        graph_sha256: The candidate's identity.
        failure: What went wrong, or None.
        repeats: Index of the trial with the same graph, which was not run again; None for a graph of its own.
        images: Evaluation images that were looked at; None if that was not recorded.
    """

    index: int
    recipe_id: str
    metric: float | None
    met: bool
    agreement: float | None
    mean_kl: float | None
    integer_share: float | None
    speedup: float | None
    seconds: float
    graph_sha256: str | None
    failure: FailureSection | None
    repeats: int | None = None
    images: int | None = None


class ChosenSection(Section):
    """The recipe that both files were built from.

    Attributes:
        trial: Index of the trial.
        recipe_id: Its identity.
        recipe: The whole of it, to build the model again.
        all_fp32: Whether nothing is left in int8: then the criterion is met by not quantizing.
        target: The class of CPUs that the files are for. All but ``vnni``: no sum of integer products can saturate.
        saturating_layers: Layers of the int8 file whose sums can saturate without VNNI; None if nobody looked.
        layers: Layers of the fp32 model that have weights; None in earlier reports.
        int8_layers: Those that compute in int8; None in earlier reports.
    """

    trial: int
    recipe_id: str
    recipe: Recipe
    all_fp32: bool
    target: CpuClass = "vnni"
    saturating_layers: int | None = None
    layers: int | None = None
    int8_layers: int | None = None

    @property
    def is_placed(self) -> bool:
        """Return whether layers were put back to float by what they measured."""
        return any(key == "placed" for key, _ in self.recipe.details)

    @property
    def cpus(self) -> str:
        """Return which CPUs the files are for, in a sentence."""
        made = f"Made for {CLASSES[self.target].models_are_for}"
        if self.saturating_layers is None:
            return f"{made}."
        if self.saturating_layers == 0:
            return f"{made}: no sum of integer products can saturate, so every CPU gives the same answers."
        return (
            f"{made}: on x86 without it, sums of products can saturate in {self.saturating_layers:,} layers, "
            "and answers differ (--target any prevents it)."
        )


class SpeedSection(Section):
    """How much faster a rewrite made one format.

    Attributes:
        format: ``qlinear`` or ``qdq``.
        ratio: Time before / time after.
        low: Lower bound of its 95 % interval.
        high: Upper bound; None if there were too few rounds for one.
    """

    format: str
    ratio: float
    low: float
    high: float | None


class RewriteSection(Section):
    """What a graph rewrite did.

    Attributes:
        name: The rewrite.
        kept: Whether the written files have it.
        reason: Why not, in a sentence; None if it is kept.
        nodes: Names of the nodes that it changed.
        declared: ``exact`` or ``rounding``.
        declared_within: The largest move that it declares: root mean square of the scores' differences over that of the
            scores before.
        moved: The move that was measured; None if nothing matched.
        predictions_changed: Checked images whose top-1 changed; None if nothing matched.
        agreement_change: Agreement with fp32 after minus before, a fraction; None if it was not measured.
        divergence_change: Mean KL divergence from fp32's probabilities after minus before, in nats; None if it was not
            measured.
        speed: One entry a format; empty where nothing was timed.
    """

    name: str
    kept: bool
    reason: str | None
    nodes: tuple[str, ...]
    declared: str
    declared_within: float
    moved: float | None
    predictions_changed: int | None
    agreement_change: float | None
    divergence_change: float | None = None
    speed: tuple[SpeedSection, ...]
