"""Defaults by the number of windows."""

from dataclasses import astuple

import pytest

from xstars_lightning.tasks.defaults import dino_defaults


@pytest.mark.parametrize(
    ("windows", "prototypes", "temperature", "momentum"),
    [
        (1, 1024, 0.04, 0.99),
        (19_999, 1024, 0.04, 0.99),
        (20_000, 2048, 0.04, 0.99),
        (50_000, 4096, 0.05, 0.992),
        (100_000, 8192, 0.06, 0.994),
        (200_000, 16384, 0.07, 0.996),
        (500_000, 65536, 0.07, 0.996),
        (10_000_000, 65536, 0.07, 0.996),
    ],
)
def test_table(windows, prototypes, temperature, momentum):
    chosen = dino_defaults(windows)
    assert astuple(chosen) == (prototypes, (0.04, temperature), (momentum, 1.0), 0.1, 0.3)


def test_some_window_is_needed():
    with pytest.raises(ValueError, match="windows must be positive, got 0"):
        dino_defaults(0)


def test_the_task_takes_them_and_what_is_set_by_hand_stays(make_task):
    task = make_task(windows=60_000, prototypes=None, momentum=(0.5, 0.6))
    assert task.hparams["prototypes"] == task.dino.center.shape[1] == 4096
    assert task.hparams["teacher_temperature"] == (0.04, 0.05)
    assert task.hparams["momentum"] == (0.5, 0.6)
