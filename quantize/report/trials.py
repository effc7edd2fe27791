"""Every candidate that was tried, and what the chosen one was built from."""

from __future__ import annotations

from quantize.recipe import Recipe
from quantize.report.section import Section


class FailureSection(Section):
    """Where and why a trial failed."""

    stage: str
    error: str


class TrialSection(Section):
    """One recipe that was tried.

    Attributes:
        index: Its place in the order of trials, from 0.
        recipe_id: Identity of what was tried.
        metric: The goal's metric on the evaluation images, a fraction; None where nothing was measured.
        met: Whether it met the criterion.
        agreement: Share of images with fp32's top-1.
        mean_kl: Mean KL(fp32 || candidate) in nats.
        integer_share: Share of the quantizable ops that it runs in int8.
        speedup: Baseline time / candidate time, where it was measured.
        seconds: Time spent on it.
        graph_sha256: The candidate's identity.
        failure: What went wrong, or None.
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


class ChosenSection(Section):
    """The recipe that both files were built from.

    Attributes:
        trial: Index of the trial.
        recipe_id: Its identity.
        recipe: The whole of it, to build the model again.
        all_fp32: Whether nothing is left in int8: then the criterion is met by not quantizing.
    """

    trial: int
    recipe_id: str
    recipe: Recipe
    all_fp32: bool


class RewriteSection(Section):
    """What a graph rewrite did.

    Attributes:
        name: The rewrite.
        declared: ``exact`` or ``rounding``.
        kept: Whether it is in the written files.
        reason: Why not, where it was left out.
        nodes: Nodes that it changed.
        speedup: Time before / time after, where measured.
        agreement_change: Agreement with fp32 after minus before, where measured.
    """

    name: str
    declared: str
    kept: bool
    reason: str | None
    nodes: int
    speedup: float | None
    agreement_change: float | None
