"""The native engine on one network: what it finds, how long each stage takes, and whether kills change anything.

    python benchmarks/native.py --model efficientnet_lite0.onnx --data imagenet/val --labels imagenet/val.txt \
        --preset imagenet --kills 20 --folder runs/native

An unbroken search measures latencies and writes the table of them. With ``--kills`` the search is then begun over and
over with that table, killed (SIGKILL) at a random moment, and resumed; recipe and graph must be the same every time.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from quantize.benchmark.measure import measure
from quantize.benchmark.operator_times import Profile
from quantize.benchmark.pairing import paired_log_ratios, round_levels
from quantize.benchmark.plan import Plan
from quantize.benchmark.profile import profile
from quantize.data.batches import batches
from quantize.data.crops import crop_images
from quantize.data.images import open_images
from quantize.data.preprocessing import PRESETS
from quantize.data.split import split
from quantize.engines.protocols import Goal
from quantize.evaluation.evaluate import evaluate
from quantize.evaluation.scores import ScoreStore
from quantize.models.artifact import ModelArtifact
from quantize.models.prepare import prepare
from quantize.recipe import Recipe
from quantize.rewrites import select_rewrites
from quantize.tuning.latency_table import LatencyTable, PairedLatency
from quantize.tuning.native_tuner import NativeTuner
from quantize.tuning.race_judge import RaceJudge
from quantize.tuning.settings import SearchSettings

SETTINGS = SearchSettings(
    recipe=Recipe(engine="native", rewrites=tuple(one.name for one in select_rewrites("default")))
)


def searched(arguments: argparse.Namespace, folder: Path, table: Path | None) -> dict[str, object]:
    """Search in a folder, taking up what is there, and return what was found."""
    begin = time.monotonic()
    model = prepare(arguments.model, folder / "prepared.onnx")
    preprocessing = PRESETS[arguments.preset].for_input_size(*(model.contract.image_size or (224, 224)))
    images = open_images(arguments.data, arguments.labels, classes=model.contract.classes)
    crops = crop_images(images, preprocessing, arguments.folder / "crops")
    parts = split(
        crops.ids, calibration_size=arguments.calibration, in_evaluation=False, certification_share=0.0, seed=0
    )
    calibration = batches(crops.subset(parts.calibration), preprocessing, 10)
    seen = crops.subset(parts.evaluation)
    baseline = evaluate(model, batches(seen, preprocessing, 10), threads=arguments.threads, store=folder / "scores.bin")
    scores = ScoreStore.open(folder / "scores.bin")
    outcomes = baseline.outcomes
    assert outcomes.rank is not None
    assert outcomes.ties is not None
    accuracy = float(np.where(outcomes.rank == 0, 1 / (1 + outcomes.ties), 0.0).mean())
    goal = Goal("top1", baseline=accuracy, relative=arguments.relative)
    inputs = [
        np.ascontiguousarray(preprocessing.normalize(seen.array[at : at + 1])) for at in range(min(len(seen), 32))
    ]
    given = {"fp32": inputs, "candidate": inputs}

    def plan(candidate: ModelArtifact) -> Plan:
        models = {"fp32": model.path, "candidate": candidate.path}
        return Plan(models=models, baseline="fp32", control=False, iteration=200, max_seconds=arguments.seconds)

    def timed(candidate: ModelArtifact) -> PairedLatency:
        blocks = measure(plan(candidate), given).blocks
        candidate_ns = float(np.exp(np.median(list(round_levels(blocks, "candidate").values()))))
        ratio = float(np.exp(np.median(paired_log_ratios(blocks, "fp32", "candidate"))))
        return PairedLatency(baseline_ns=ratio * candidate_ns, candidate_ns=candidate_ns)

    def profiled(candidate: ModelArtifact, recipe: Recipe) -> Profile:
        return profile(plan(candidate), given, "candidate", runs=30, recipe=recipe)

    tuner = NativeTuner(
        SETTINGS,
        folder / "work",
        measure=timed,
        profile=profiled,
        calibration_fingerprint=f"{calibration.crops.fingerprint} {preprocessing.fingerprint}",
        configuration={"evaluation": seen.fingerprint},
        journal=folder / "trials.jsonl",
        resume=True,
        judge=RaceJudge(
            goal,
            baseline,
            scores,
            lambda positions: batches(seen.subset(positions), preprocessing, 10),
            threads=arguments.threads,
        ),
        recorded=None if table is None else LatencyTable.load(table, model.graph_sha256),
    )
    for trial in tuner.tune(model, goal, lambda _: 0.0, calibration):
        print(f"  trial {trial.index}: {trial.recipe.id} {trial.metric} in {trial.seconds:.1f} s", flush=True)
    assert tuner.search is not None
    assert tuner.bench is not None
    tuner.bench.latency_table.save(folder / "latency.json")
    result = tuner.search.result
    found: dict[str, object] = {
        "fp32": accuracy,
        "chosen": None,
        "seconds": time.monotonic() - begin,
        "stages": dict(result.seconds),
        "prediction_errors": [one.prediction_error for one in result.candidates if one.prediction_error is not None],
        "divergences": dict(result.fidelity),
    }
    if result.chosen is not None and result.chosen.trial.artifact is not None:
        artifact = result.chosen.trial.artifact
        final = evaluate(artifact, batches(seen, preprocessing, 10), threads=arguments.threads, baseline=scores)
        assert final.fidelity is not None
        found["chosen"] = {
            "recipe": result.chosen.trial.recipe.id,
            "graph_sha256": artifact.graph_sha256,
            "top1": result.chosen.trial.metric,
            "agreement": final.fidelity.agreement,
            "mean_kl": final.fidelity.mean_kl,
            "ties": final.tied_count,
            "speedup": result.chosen.speedup,
            "float_nodes": result.chosen.trial.recipe.float_nodes,
            "corrections": result.chosen.trial.recipe.corrections,
        }
    return found


def killed(arguments: argparse.Namespace, expected: dict[str, object]) -> int:
    """Kill and resume searches; return how many of them came to another end."""
    table = arguments.folder / "unbroken" / "latency.json"
    longest = float(str(expected["seconds"]))
    generator = random.Random(arguments.seed)
    different = 0
    for number in range(arguments.kills):
        folder = arguments.folder / f"killed-{number}"
        command = [sys.executable, __file__, *sys.argv[1:], "--in_folder", str(folder), "--table", str(table)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        moment = generator.uniform(0.0, longest)
        try:
            child.wait(moment)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(run.stdout.splitlines()[-1])["chosen"]
        same = found is not None and all(found[key] == expected["chosen"][key] for key in ("recipe", "graph_sha256"))  # type: ignore[index]
        different += not same
        print(f"killed after {moment:.1f} s: {'the same' if same else 'DIFFERENT'} recipe and graph", flush=True)
    return different


def main() -> None:
    """Search once, and kill and resume as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--preset", default="imagenet", choices=sorted(PRESETS))
    parser.add_argument("--folder", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--relative", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="for one paired latency")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in_folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.in_folder or arguments.folder / "unbroken"
    folder.mkdir(parents=True, exist_ok=True)
    found = searched(arguments, folder, arguments.table)
    print(json.dumps(found), flush=True)
    if arguments.in_folder is None and arguments.kills and killed(arguments, found):
        sys.exit(1)


if __name__ == "__main__":
    main()
