"""The written files on the images: those that trials saw, and those kept from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantize.criterion import Criterion
from quantize.models.artifact import ModelArtifact
from quantize.report.models import AccuracySection, ModelSection, Role
from quantize.run.accuracy import baseline_accuracy, candidate_accuracy
from quantize.run.evaluator import Evaluator
from quantize.run.folder import RunFolder
from quantize.run.sections import model_section


@dataclass(frozen=True)
class Jury:
    """Judges written files against the baseline.

    Attributes:
        baseline: The prepared fp32 model.
        selection: On the images that trials were evaluated on.
        certification: On the images that no trial saw, or None.
        criterion: What was asked.
        seed: Of the bootstrap.
        folder: The run's folder.
    """

    baseline: ModelArtifact
    selection: Evaluator
    certification: Evaluator | None
    criterion: Criterion
    seed: int
    folder: RunFolder

    def judge(self, written: Sequence[tuple[Role, ModelArtifact]]) -> tuple[ModelSection, tuple[ModelSection, ...]]:
        """Return the baseline's section and each written file's."""
        certification = self.certification
        own = model_section(
            "fp32",
            self.baseline,
            self.folder.path,
            baseline_accuracy(self.selection.evaluate_baseline(self.baseline)),
            baseline_accuracy(certification.evaluate_baseline(self.baseline)) if certification else None,
        )
        models = tuple(
            model_section(
                role,
                model,
                self.folder.path,
                self._accuracy(self.selection, model),
                self._accuracy(certification, model) if certification else None,
            )
            for role, model in written
        )
        return own, models

    def _accuracy(self, evaluator: Evaluator, model: ModelArtifact) -> AccuracySection:
        return candidate_accuracy(
            evaluator.evaluate_baseline(self.baseline),
            evaluator.evaluate(model),
            criterion=self.criterion,
            seed=self.seed,
        )
