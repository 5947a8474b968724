"""A run that stops and resumes sees the windows that an uninterrupted run sees."""

from contextlib import suppress

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from xstars_lightning.datamodules import CrossSensorDataModule

BATCHES = 6  # per epoch
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class Recorder(LightningModule):
    """Notes the windows it trains on; raises at a step if asked to."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.fail_at = fail_at
        self.seen = []

    def training_step(self, batch, batch_idx):
        if self.global_step == self.fail_at:
            raise KeyboardInterrupt
        self.seen.append([tuple(row) for row in batch["bounds"][:, [0, 3]].tolist()])
        return self.weight**2

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.weight)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def run(two_sensors, tmp_path):
    def fit(fail_at=None, ckpt_path=None, workers=0, batch_size=4, callbacks=(), save=None, **trainer):
        paths = {key: str(two_sensors / key) for key in ("high", "low")}
        data = CrossSensorDataModule(
            paths,
            {"high": "sentinel2_rgb", "low": "sentinel2_rgb"},
            window=240,
            batch_size=batch_size,
            num_workers=workers,
            windows_per_epoch=4 * BATCHES + 1,
            val_fraction=0.1,
        )
        model = Recorder(fail_at)
        options = {
            "enable_checkpointing": bool(callbacks),
            "callbacks": list(callbacks),
            "limit_val_batches": 1,
        }
        loop = Trainer(**QUIET, **(options | trainer), default_root_dir=tmp_path)
        with suppress(KeyboardInterrupt, SystemExit):
            loop.fit(model, data, ckpt_path=ckpt_path)
        if save:
            loop.save_checkpoint(save)
        return model.seen

    return fit


@pytest.mark.parametrize(("stop", "workers"), [(2, 0), (BATCHES, 0), (BATCHES + 3, 0), (BATCHES + 3, 1)])
def test_stopped_by_max_steps(stop, workers, run, tmp_path):
    whole = run(max_steps=2 * BATCHES + 2)
    before = run(max_steps=stop, save=tmp_path / "a.ckpt", workers=workers)
    after = run(max_steps=2 * BATCHES + 2, ckpt_path=tmp_path / "a.ckpt", workers=workers)
    assert before + after == whole


@pytest.mark.parametrize("stop", [4, BATCHES + 4])
def test_crashed_in_mid_epoch(stop, run, tmp_path):
    whole = run(max_epochs=3)
    keep = ModelCheckpoint(
        tmp_path / "kept", filename="last", every_n_train_steps=2, enable_version_counter=False
    )
    before = run(max_epochs=3, fail_at=stop + 1, callbacks=[keep])
    assert before == whole[: stop + 1]
    after = run(max_epochs=3, ckpt_path=tmp_path / "kept" / "last.ckpt")
    assert after == whole[stop:]


@pytest.mark.parametrize("moment", [{"save_on_train_epoch_end": True}, {"save_on_train_epoch_end": False}])
@pytest.mark.parametrize("length", [{"max_epochs": 3}, {"max_steps": 3 * BATCHES}])
def test_stopped_between_epochs(moment, length, run, tmp_path):
    whole = run(**length)
    keep = ModelCheckpoint(tmp_path / "kept", filename="last", enable_version_counter=False, **moment)
    before = run(max_epochs=1, callbacks=[keep])
    after = run(**length, ckpt_path=tmp_path / "kept" / "last.ckpt")
    assert before + after == whole


def test_resumed_with_another_batch_size(run, tmp_path):
    flat = [window for batch in run(max_steps=8) for window in batch]
    before = run(max_steps=3, save=tmp_path / "a.ckpt")
    after = run(max_steps=5, ckpt_path=tmp_path / "a.ckpt", batch_size=8)
    assert [window for batch in before + after for window in batch] == flat[:28]


def test_limited_batches_go_through_the_stream(run):
    assert run(max_epochs=3, limit_train_batches=2) == run(max_epochs=1)


def test_overfitting_repeats_its_batches(run):
    seen = run(max_epochs=3, overfit_batches=2)
    assert len(seen) == 6
    assert seen[:2] == seen[2:4] == seen[4:]
