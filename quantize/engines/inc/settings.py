"""Neural Compressor's settings in the dialect of its 1.x files, as plain values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from quantize.errors import EngineError

Framework = Literal["onnxrt_qlinearops", "onnxrt_qdq"]
OpConstraint = Mapping[str, Mapping[str, str | Sequence[str]]]
"""What an op is allowed to be: ``{"weight" or "activation": {"dtype", "scheme", "granularity", "algorithm"}}``."""

STRATEGIES = MappingProxyType(
    {
        "auto": "auto",
        "conservative": 0,
        "basic": 1,
        "mse": 1,
        "mse_v2": 1,
        "bayesian": 1,
        "exhaustive": 1,
    }
)
"""Strategies that work on ONNX models, and the quant_level under which Neural Compressor heeds the name."""

_BROKEN_STRATEGIES = MappingProxyType(
    {
        "random": "it lists the whole tuning space before it draws from it, which no memory holds for a real model",
        "hawq_v2": "it needs gradients, which onnxruntime does not have",
        "tpe": "it does not work in Neural Compressor 3.7.1",
        "sigopt": "Neural Compressor removed it",
    }
)


def _nothing() -> Mapping[str, OpConstraint]:
    return MappingProxyType({})


@dataclass(frozen=True)
class IncSettings:
    """Settings of one tuning by Neural Compressor.

    Attributes:
        framework: Format of the candidates: QLinear operators, or QDQ (needs opset 13 for per-channel weights).
        approach: ``post_training_static_quant``; nothing else gives a model that runs fast on CPU.
        sampling_size: Number of calibration images used, at most.
        strategy: A key of STRATEGIES.
        timeout: Seconds after which the search is ended, whatever it is doing; None or 0 for no limit.
        max_trials: Number of evaluated candidates after which the search is ended.
        random_seed: Seed of Python's and numpy's generators in the child process.
        reduce_range: Weights use 7 bits where their sums could leave 16 bits without VNNI.
        op_wise: Constraint for each op name or regular expression over names; stronger than the other two.
        optype_wise: Constraint for each op type, or regular expression over op types; stronger than ``model_wise``.
        model_wise: Constraint for all ops.
        batch_size: Images in a calibration batch; 1 for models whose batch dimension is 1.
        time_budget: Seconds for this search, whatever its timeout; one trial is finished in any case. None: no bound.
        stop_when_met: End with the strategy's first success; False continues until time or trials run out.
    """

    framework: Framework = "onnxrt_qlinearops"
    approach: str = "post_training_static_quant"
    sampling_size: int = 100
    strategy: str = "auto"
    timeout: float | None = None
    max_trials: int = 100
    random_seed: int = 9527
    reduce_range: bool = False
    op_wise: Mapping[str, OpConstraint] = field(default_factory=_nothing)
    optype_wise: Mapping[str, OpConstraint] = field(default_factory=_nothing)
    model_wise: OpConstraint = field(default_factory=dict)
    batch_size: int = 1
    stop_when_met: bool = True
    time_budget: float | None = None

    def __post_init__(self) -> None:
        """Refuse what Neural Compressor cannot do on an ONNX image classifier.

        Raises:
            EngineError: The strategy or the approach is not supported.
            ValueError: A count or a time is out of range.
        """
        check_strategy(self.strategy)
        if self.approach not in ("post_training_static_quant", "static"):
            raise EngineError(
                "only static quantization is supported",
                where="quantization.approach",
                found=self.approach,
                expected="post_training_static_quant",
                advice="dynamic quantization makes convolutions slower on CPU; leave the key out",
            )
        if self.sampling_size < 1 or self.max_trials < 1 or self.batch_size < 1:
            raise ValueError("sampling_size, max_trials and batch_size are at least 1")
        if self.timeout is not None and self.timeout < 0:
            raise ValueError("timeout is not negative")


def check_strategy(name: str) -> None:
    """Refuse a strategy that Neural Compressor does not have or cannot run on ONNX models.

    Raises:
        EngineError: It names the strategies that work.
    """
    if name in STRATEGIES:
        return
    near = difflib.get_close_matches(name, STRATEGIES, n=1)
    reason = _BROKEN_STRATEGIES.get(name)
    raise EngineError(
        f"the strategy '{name}' cannot be used: {reason}" if reason else f"there is no strategy '{name}'",
        where="tuning.strategy.name",
        found=name,
        expected=", ".join(STRATEGIES),
        advice=f"did you mean '{near[0]}'?" if near else "use 'auto' or 'basic'",
    )
