"""One run after its inputs are known to be good: tune, write, judge, measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantize.api.anatomy import measure_anatomy
from quantize.api.asked import Asked
from quantize.api.candidates import Jury
from quantize.api.engines import integer_share, is_all_fp32, tuned
from quantize.api.evaluator import Evaluator
from quantize.api.export import Pair, compare_formats, write_pair
from quantize.api.flipped import flips_section
from quantize.api.goal import goal_for
from quantize.api.inputs import Images
from quantize.api.journal import TrialJournal
from quantize.api.latency import latency_plan, measure_models
from quantize.api.preset_probe import probe_presets, refuse_chance
from quantize.api.rebuilding import found_again, replay_section
from quantize.api.rewriting import Workshop, rewrite_section
from quantize.api.run_folder import RunFolder
from quantize.api.run_request import write_request
from quantize.api.search import Found, Search
from quantize.api.sections import (
    criterion_section,
    data_section,
    preprocessing_section,
    provenance,
    source_section,
)
from quantize.api.stages import Stages
from quantize.api.stamping import stamp_models
from quantize.api.verdict import verdict_section
from quantize.benchmark.measurement import Measurement
from quantize.config.run_config import RunConfig
from quantize.data.batches import Batches
from quantize.data.crops import Crops
from quantize.data.workers import available_cpus
from quantize.engines.protocols import Goal
from quantize.errors import ModelError
from quantize.evaluation.chance import near_chance
from quantize.files import write_text
from quantize.models.artifact import ModelArtifact
from quantize.models.catalog import CatalogEntry
from quantize.progress import Progress
from quantize.provenance import fingerprint
from quantize.report.replay import ReplaySection
from quantize.report.schema import RunReport
from quantize.report.trials import ChosenSection
from quantize.rewrites import Rewritten, select_rewrites
from quantize.tuning.journal import Journal

_BENCHMARK_SECONDS = 120.0
_BATCH = 16


@dataclass
class TuningRun:
    """One run after its inputs are known to be good.

    Attributes:
        asked: What was asked, every path decided.
        folder: Where everything goes.
        source: The model as the user gave it.
        entry: The catalog's entry, where the weights are known.
        model: The prepared fp32 model.
        images: The decoded images.
        stages: Timed stages so far.
        progress: Told of everything that takes long.
        recorded: The report whose recipe is built again in place of a search; None: search.
    """

    asked: Asked
    folder: RunFolder
    source: ModelArtifact
    entry: CatalogEntry | None
    model: ModelArtifact
    images: Images
    stages: Stages
    progress: Progress
    recorded: RunReport | None = None

    @property
    def config(self) -> RunConfig:
        """Return all settings."""
        return self.asked.request.config

    def run(self) -> RunReport:
        """Tune, write both formats, judge and measure them, and return what was found.

        Raises:
            QuantizeError: The baseline is no better than chance, or the engine failed.
        """
        selection = self._evaluator(self.images.evaluation, "evaluation")
        with self.stages.stage("evaluate fp32"):
            goal = self._goal(selection)
        journal = self._journal()
        with self.stages.stage("tune"):
            search = Search(goal, selection, integer_share, journal, journal.earlier())
            found = self._found(search)
        with self.stages.stage("rewrite, and write both formats"):
            rewritten = self._rewrite(found, goal, selection)
            pair = write_pair(rewritten, self.folder)
        with self.stages.stage("evaluate the written files"):
            formats = compare_formats(pair, self._batches(self.images.evaluation), threads=available_cpus())
            jury = self._jury(goal, selection)
            baseline, models = jury.judge((("int8", pair.int8), ("qdq", pair.qdq)))
        with self.stages.stage("benchmark"):
            measurement = self._measure(pair)
        chosen = _chosen(found, rewritten)
        with self.stages.stage("memory and operators"):
            resources, operators = measure_anatomy(
                {"fp32": self.model, "int8": pair.int8, "qdq": pair.qdq},
                self.images.evaluation,
                self.images.preprocessing,
                measurement.plan,
                profiled="int8",
                recipe=chosen.recipe,
                progress=self.progress,
            )
        report = RunReport(
            verdict=verdict_section(
                goal,
                models,
                formats,
                chosen,
                stopped_because=found.stopped_because,
                demonstration=self.asked.demonstration_data,
            ),
            criterion=criterion_section(goal, self.config.tuning.accuracy_criterion.confidence),
            engine=self.config.tuning.engine,
            source=source_section(self.asked.model, self.source, self.entry),
            data=data_section(self.images, self.asked),
            preprocessing=preprocessing_section(self.images),
            baseline=baseline,
            models=models,
            formats=formats,
            chosen=chosen,
            rewrites=tuple(rewrite_section(record) for record in rewritten.records),
            trials=found.sections,
            measurement=measurement,
            resources=resources,
            profile=operators,
            flips=flips_section(
                selection.evaluate_baseline(self.model),
                selection.evaluate(pair.int8),
                role="int8",
                crops=self.images.evaluation,
                file=self.folder.path / "flips.csv",
            ),
            replay=self._replay(pair),
            stages=self.stages.sections(),
            provenance=provenance(self.asked.request, self.images),
            config=self.config.model_dump(mode="json"),
            notes=self.config.notes,
        )
        return stamp_models(report, self.folder)

    def _found(self, search: Search) -> Found:
        calibration = self._batches(self.images.calibration)
        if self.recorded is not None:
            return found_again(self.recorded, self.model, calibration, search, self.folder.work)
        return tuned(self.config, self.model, calibration, search, self.folder.work)

    def _replay(self, pair: Pair) -> ReplaySection | None:
        if self.recorded is None or self.asked.request.replay is None:
            return None
        hashes = {"int8": pair.int8.graph_sha256, "qdq": pair.qdq.graph_sha256}
        return replay_section(self.asked.request.replay, self.recorded, hashes)

    def _goal(self, selection: Evaluator) -> Goal:
        baseline = selection.evaluate_baseline(self.model)
        if self.asked.asks_accuracy and baseline.constant_output:
            raise ModelError(
                "the fp32 model gives every image the same scores",
                where=str(self.asked.model),
                expected="scores that depend on the image",
                advice="check that the file holds the trained weights; --criterion none goes on without a verdict",
            )
        if self.asked.asks_accuracy and baseline.labelled and near_chance(baseline):
            fits = probe_presets(
                self.model,
                self.images.listed,
                self.folder.work / "crops",
                threads=available_cpus(),
                workers=self.asked.request.workers,
                progress=self.progress,
            )
            refuse_chance(baseline, asked_for=self.images.preprocessing.preset, fits=fits)
        return goal_for(self.config.tuning.accuracy_criterion, baseline, asked=self.asked.asks_accuracy)

    def _rewrite(self, found: Found, goal: Goal, selection: Evaluator) -> Rewritten:
        assert found.chosen.artifact is not None
        workshop = Workshop(
            crops=self.images.evaluation,
            preprocessing=self.images.preprocessing,
            evaluator=selection,
            goal=goal,
            threads=self.config.evaluation.performance.configs.cores_per_instance,
            seed=self.config.tuning.random_seed,
            progress=self.progress,
        )
        opset, recorded = max(12, self.source.opset), self.recorded
        if recorded is not None:
            kept = select_rewrites(recorded.chosen.recipe.rewrites)
            return workshop.apply(found.chosen.artifact, kept, opset=opset, timed=False)
        return workshop.apply(found.chosen.artifact, select_rewrites(self.config.rewrites), opset=opset)

    def _jury(self, goal: Goal, selection: Evaluator) -> Jury:
        kept = self.images.certification
        return Jury(
            baseline=self.model,
            selection=selection,
            certification=self._evaluator(kept, "certification") if kept is not None else None,
            goal=goal,
            confidence=self.config.tuning.accuracy_criterion.confidence,
            seed=self.config.tuning.random_seed,
            folder=self.folder,
        )

    def _measure(self, pair: Pair) -> Measurement:
        models = {"fp32": self.model, "int8": pair.int8, "qdq": pair.qdq}
        plan = latency_plan(
            models,
            self.config.evaluation.performance,
            seed=self.config.tuning.random_seed,
            max_seconds=_BENCHMARK_SECONDS,
        )
        images = self.images
        return measure_models(models, images.evaluation, images.preprocessing, plan, progress=self.progress)

    def _evaluator(self, crops: Crops, name: str) -> Evaluator:
        return Evaluator(
            crops=crops,
            preprocessing=self.images.preprocessing,
            scores=self.folder.work / f"{name}.scores",
            threads=available_cpus(),
            batch_size=_BATCH,
            progress=self.progress,
        )

    def _batches(self, crops: Crops) -> Batches:
        return Batches(crops, self.images.preprocessing, _BATCH)

    def _journal(self) -> TrialJournal:
        """Open the journal and take away what an earlier run left, now that this one will replace or continue it."""
        folder, resume = self.folder, self.asked.request.resume is not None
        outputs = (
            folder.report,  # first: a folder with a report is a whole run
            folder.path / "flips.csv",
            folder.markdown,
            folder.html,
            folder.int8,
            folder.qdq,
        )
        if not resume:
            _remove(*outputs, folder.journal)
        configuration = {
            "settings": fingerprint(self.config.model_dump(mode="json", exclude={"notes"})),
            "criterion": self.asked.request.criterion,
            "model": self.model.graph_sha256,
            "data": self.images.crops.fingerprint,
            "preprocessing": self.images.preprocessing.fingerprint,
        }
        journal = Journal(folder.journal, configuration, resume=resume)
        # A resumed run is changed only after its journal was found to be of these settings.
        _remove(*outputs)
        write_text(folder.config, self.config.to_yaml())
        write_request(self.asked, folder.work)
        return TrialJournal(journal, folder.work / "candidates")


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _chosen(found: Found, rewritten: Rewritten) -> ChosenSection:
    kept = tuple(record.name for record in rewritten.records if record.kept)
    recipe = found.chosen.recipe.but(rewrites=kept)
    return ChosenSection(
        trial=found.chosen.index, recipe_id=recipe.id, recipe=recipe, all_fp32=is_all_fp32(found.chosen.recipe)
    )
