"""Collapse is named before hours are lost."""

import logging
from types import SimpleNamespace

import pytest
import torch

from xstars_lightning.callbacks import CollapseWatch
from xstars_lightning.callbacks.collapse import diagnose

HEALTHY = {"aerial": 0.8, "s2": 0.7}


@pytest.mark.parametrize(
    ("ratio", "spread", "words"),
    [
        (0.6, HEALTHY, None),
        (None, HEALTHY, None),
        (0.999, HEALTHY, "prototypes"),
        (0.001, HEALTHY, "one prototype"),
        (0.6, {"aerial": 0.8, "s2": 0.01}, "features of s2"),
    ],
)
def test_diagnosis(ratio, spread, words):
    kind, finding = diagnose(ratio, spread)
    assert kind is None if words is None else words in finding


def test_warns_once_after_patience(caplog):
    watch = CollapseWatch(patience=2)
    logged = {}
    module = SimpleNamespace(log_dict=lambda metrics, **_: logged.update(metrics))
    trainer = SimpleNamespace(sanity_checking=False, global_step=7, callback_metrics={})
    batch = {"valid_s2": torch.ones(6, 1, 8, 8, dtype=torch.bool)}
    with caplog.at_level(logging.WARNING):
        for expected in (0, 1, 1):
            watch.on_validation_epoch_start(trainer, module)
            watch.on_validation_batch_end(trainer, module, {"s2": torch.ones(6, 5, 8)}, batch, 0)
            watch.on_validation_epoch_end(trainer, module)
            assert len(caplog.records) == expected
    assert "Step 7" in caplog.text
    assert logged["val_std_s2"] == pytest.approx(0, abs=1e-5)
    assert logged["val_rank_s2"] == pytest.approx(1, abs=1e-3)


def test_a_ratio_that_wavers_is_one_finding(caplog):
    watch = CollapseWatch(patience=3)
    module = SimpleNamespace(log_dict=lambda *_, **__: None)
    batch = {"valid_s2": torch.ones(64, 1, 8, 8, dtype=torch.bool)}
    with caplog.at_level(logging.WARNING):
        for ratio in (0.999, 0.997, 0.998):
            trainer = SimpleNamespace(
                sanity_checking=False, global_step=7, callback_metrics={"train_dino_ratio": ratio}
            )
            watch.on_validation_epoch_start(trainer, module)
            watch.on_validation_batch_end(trainer, module, {"s2": torch.randn(64, 5, 8)}, batch, 0)
            watch.on_validation_epoch_end(trainer, module)
    assert len(caplog.records) == 1
