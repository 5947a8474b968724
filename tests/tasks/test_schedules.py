"""Schedules as functions of the step."""

import pytest

from xstars_lightning.tasks.schedules import Schedules

SCHEDULES = Schedules(
    steps=100,
    lr=1e-3,
    final_lr=1e-6,
    warmup=0.1,
    weight_decay=(0.04, 0.4),
    momentum=(0.99, 1.0),
    teacher_temperature=(0.02, 0.06),
    temperature_warmup=0.3,
    freeze_last_layer=0.1,
    freeze_trunk=0.25,
)


@pytest.mark.parametrize(
    ("name", "start", "middle", "end"),
    [
        ("learning_rate", 1e-4, 5.9e-4, 1e-6),
        ("decay", 0.04, 0.22, 0.4),
        ("teacher_momentum", 0.99, 0.995, 1.0),
        ("temperature", 0.02, 0.06, 0.06),
    ],
)
def test_start_middle_end(name, start, middle, end):
    schedule = getattr(SCHEDULES, name)
    assert schedule(0) == pytest.approx(start)
    assert schedule(50) == pytest.approx(middle, rel=0.05)
    assert schedule(99) == pytest.approx(end, rel=1e-3)
    assert schedule(100) == pytest.approx(end, rel=1e-3)


def test_warm_up_is_linear_and_ends_at_the_peak():
    rates = [SCHEDULES.learning_rate(step) for step in range(10)]
    assert rates == pytest.approx([1e-4 * (step + 1) for step in range(10)])
    assert max(map(SCHEDULES.learning_rate, range(100))) == pytest.approx(1e-3)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_very_short_runs_have_schedules_too(steps):
    short = Schedules(steps, 1e-3, 1e-6, 0.1, (0.04, 0.4), (0.99, 1.0), (0.02, 0.06), 0.3)
    for step in range(steps + 1):
        assert 0 <= short.learning_rate(step) <= 1e-3
        assert 0.02 <= short.temperature(step) <= 0.06


def test_the_temperature_has_a_warm_up_of_its_own():
    assert SCHEDULES.temperature(15) == pytest.approx(0.04)
    assert SCHEDULES.temperature(30) == pytest.approx(0.06)


def test_parts_are_frozen_for_their_share_of_the_steps():
    assert [step for step in range(100) if SCHEDULES.frozen(step, "last_layer")] == list(range(10))
    assert [step for step in range(100) if SCHEDULES.frozen(step, "trunk")] == list(range(25))


def test_a_ramp_over_no_step_is_over_at_once():
    assert SCHEDULES.ramp(0, 0.0) == 1
    assert [SCHEDULES.ramp(step, 0.1) for step in (0, 5, 10, 50)] == [0, 0.5, 1, 1]
