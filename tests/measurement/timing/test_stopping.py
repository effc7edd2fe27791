"""When a measurement ends by itself."""

from __future__ import annotations

import pytest

from quantize.measurement.timing.measure import precise_enough
from quantize.measurement.timing.plan import Plan


@pytest.fixture
def contestants(contestant):
    return (contestant("fp32", "baseline"), contestant("fp32 again", "control"), contestant("int8", "candidate"))


def simulated(simulate, plan, *, noise: float, rounds: int):
    times = {"fp32": 3e6, "fp32 again": 3e6, "int8": 1.5e6}
    shift = {"round": 0.0}

    def duration(name: str, now: int, run: int) -> float:
        # Noise that lasts a block, on one contestant only: what pairing cannot cancel.
        shift["round"] = noise * ((run // 28) * 7919 % 13 / 6 - 1)
        return times[name] * (1 + (shift["round"] if name == "int8" else 0))

    return simulate(duration).blocks(tuple(times), plan, rounds=rounds)


def test_it_does_not_end_before_every_model_has_its_iterations(simulate, plan, contestants):
    asked = plan.model_copy(update={"iteration": 200})
    blocks = simulated(simulate, asked, noise=0.0, rounds=10)
    assert precise_enough(blocks, contestants, asked)
    assert not precise_enough(blocks[:-6], contestants, asked)


def test_it_does_not_end_with_fewer_than_six_rounds(simulate, plan, contestants):
    asked = plan.model_copy(update={"iteration": 1})
    blocks = simulated(simulate, asked, noise=0.0, rounds=6)
    assert precise_enough(blocks, contestants, asked)
    assert not precise_enough(blocks[:-6], contestants, asked)


def test_it_goes_on_while_the_interval_is_wider_than_asked(simulate, plan, contestants):
    blocks = simulated(simulate, plan, noise=0.1, rounds=12)
    assert not precise_enough(blocks, contestants, plan.model_copy(update={"iteration": 100, "precision": 0.02}))
    assert precise_enough(blocks, contestants, plan.model_copy(update={"iteration": 100, "precision": 0.5}))


def test_a_model_alone_is_measured_until_its_own_time_is_precise(simulate, tiny, contestant):
    plan = Plan(models={"only": tiny}, iteration=100, block_length=10, max_seconds=1e9)
    alone = (contestant("only", "alone"),)
    steady = simulate(lambda *_: 1e6).blocks(("only",), plan, rounds=8)
    rising = simulate(lambda name, now, run: 1e6 + now / 100).blocks(("only",), plan, rounds=8)
    assert precise_enough(steady, alone, plan)
    assert not precise_enough(rising, alone, plan)
