"""Files in the shape of Neural Compressor 1.x's own examples load, and nothing in them is silently ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantize.config import load_config

_LIKE = Path(__file__).parent / "like_1x"


@pytest.fixture(autouse=True)
def _in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_LIKE)


def test_the_squeezenet_example_loads_unchanged() -> None:
    config = load_config(Path("squeezenet.yaml"), {}, cores=4)
    assert config.model.name == "squeezenet"
    assert config.model.framework == "onnxrt_qlinearops"
    assert config.tuning.accuracy_criterion.relative == 0.01
    assert config.tuning.exit_policy.timeout == 0
    assert config.tuning.random_seed == 9527
    assert config.evaluation.performance.configs.cores_per_instance == 4
    assert config.evaluation.performance.iteration == 1000
    assert config.notes == ()


def test_the_squeezenet_qdq_example_asks_for_qdq() -> None:
    assert load_config(Path("squeezenet_qdq.yaml"), {}, cores=4).model.framework == "onnxrt_qdq"


def test_four_cores_become_two_on_a_machine_with_two_and_a_note_says_so() -> None:
    config = load_config(Path("squeezenet.yaml"), {}, cores=2)
    assert config.evaluation.performance.configs.cores_per_instance == 2
    assert config.notes == (
        "squeezenet.yaml:18:27: evaluation.performance.configs.cores_per_instance: 4 reduced to 2: "
        "this machine has 2 cores",
    )


def test_dataloaders_become_data_and_preprocessing() -> None:
    config = load_config(Path("image_folder.yaml"), {}, cores=28)
    assert config.data.path == Path("images/val")
    assert config.data.labels is None
    assert config.preprocessing.given() == {
        "resize": 256,
        "resize_mode": "shorter",
        "crop": 224,
        "interpolation": "bilinear",
        "channel_order": "RGB",
        "scale": 1 / 255,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    assert config.quantization.calibration.sampling_size == 50
    assert config.quantization.op_wise["Gemm_37_MatMul"].lists() == {
        "weight": {"scheme": ["sym"], "dtype": ["fp32"]},
        "activation": {"scheme": ["sym"], "dtype": ["fp32"]},
    }


def test_another_calibration_folder_is_noted() -> None:
    notes = "\n".join(load_config(Path("image_folder.yaml"), {}, cores=28).notes)
    assert "quantization.calibration.dataloader: read as preprocessing; not used: images/train" in notes
    assert "sampling_size: 50, 100 read as 50" in notes


def test_every_key_of_the_schema_that_asks_for_something_else_gets_a_note() -> None:
    config = load_config(Path("everything.yaml"), {}, cores=28)
    notes = "\n".join(config.notes)
    for key in (
        "device",
        "use_bf16",
        "model.framework",
        "model.inputs",
        "model.outputs",
        "quantization.approach",
        "quantization.advance",
        "quantization.recipes.scale_propagation_concat",
        "quantization.recipes.fast_bias_correction",
        "quantization.calibration.sampling_size",
        "quantization.calibration.dataloader",
        "quantization.model_wise.weight.bit",
        "evaluation.accuracy.metric",
        "evaluation.accuracy.configs",
        "evaluation.accuracy.postprocess",
        "evaluation.performance.iteration",
        "evaluation.performance.configs.inter_num_of_threads",
        "evaluation.performance.configs.intra_num_of_threads",
        "evaluation.performance.configs.kmp_blocktime",
        "evaluation.performance.dataloader",
        "tuning.strategy.name",
        "tuning.strategy.sigopt_api_token",
        "tuning.strategy.sigopt_project_id",
        "tuning.objective",
        "tuning.exit_policy.performance_only",
        "tuning.tensorboard",
        "tuning.diagnosis.op_list",
        "tuning.workspace.path",
        "tuning.workspace.resume",
    ):
        assert f": {key}: " in notes, key
    assert len(config.notes) == 29
    assert "scale_propagation_max_pooling" not in notes  # what it asks for happens


def test_values_with_another_name_here_are_translated() -> None:
    config = load_config(Path("everything.yaml"), {}, cores=28)
    assert config.model.framework == "onnxrt_qdq"
    assert config.quantization.approach == "post_training_static_quant"
    assert config.quantization.calibration.sampling_size == 300
    assert config.tuning.strategy.name == "bayesian"
    assert config.tuning.accuracy_criterion.absolute == 0.01
    assert config.tuning.accuracy_criterion.relative is None
    assert config.quantization.model_wise.activation.dtype == ("uint8", "fp32")
    assert config.data.labels == Path("val.txt")
    assert config.preprocessing.resize_mode == "square"


def test_blocks_without_keys_are_empty_blocks(tmp_path: Path) -> None:
    path = tmp_path / "blank.yaml"
    path.write_text("quantization:\n  calibration:\nevaluation:\n  accuracy:\ntuning:\n")
    assert load_config(path, {}) == load_config(None, {})


def test_yaml_of_1_1_does_not_surprise(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(
        "model: {name: 2012-01-01}\nquantization: {calibration: {sampling_size: 010, in_evaluation: yes}}\n"
        "tuning: {accuracy_criterion: {relative: 1e-2}}\n"
    )
    config = load_config(path, {})
    assert config.model.name == "2012-01-01"
    assert config.quantization.calibration.sampling_size == 10
    assert config.quantization.calibration.in_evaluation is True
    assert config.tuning.accuracy_criterion.relative == 0.01


def test_anchors_and_merged_blocks_work(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "tuning:\n  exit_policy: &policy {timeout: 5, max_trials: 7}\n"
        "evaluation:\n  performance:\n    warmup: 3\n    configs: &cores {cores_per_instance: 1}\n"
        "    <<: {iteration: 50, warmup: 4}\n"
    )
    config = load_config(path, {})
    assert config.evaluation.performance.iteration == 50
    assert config.evaluation.performance.warmup == 3
