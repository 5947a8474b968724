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
    short = Schedules(steps, 1e-3, 1e-6, 0.1, (0.04, 0.4), (0.99, 1.0), (0.02, 0.06))
    for step in range(steps + 1):
        assert 0 <= short.learning_rate(step) <= 1e-3
        assert 0.02 <= short.temperature(step) <= 0.06
