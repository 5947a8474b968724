"""The default data module, from nothing to batches."""

import torch

from xstars_lightning.datamodules.simulated import SimulatedDataModule, cache_folder

SMALL = {"scenes": 2, "extent": 960.0, "window": 300.0, "batch_size": 2, "windows_per_epoch": 8}


def test_batches_without_calling_prepare_data(tmp_path):
    module = SimulatedDataModule(root=str(tmp_path), **SMALL)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    sizes = {key: batch[f"image_{key}"].shape for key in ("spot", "sentinel2", "landsat")}
    assert sizes == {"spot": (2, 3, 200, 200), "sentinel2": (2, 3, 30, 30), "landsat": (2, 3, 10, 10)}
    assert all(batch[f"valid_{key}"].all() for key in sizes)
    assert next(iter(module.val_dataloader()))["image_spot"].dtype == torch.float32


def test_scenes_are_written_once(tmp_path):
    module = SimulatedDataModule(root=str(tmp_path), **SMALL)
    module.prepare_data()
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tif")}
    SimulatedDataModule(root=str(tmp_path), **SMALL, seed=5).prepare_data()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tif")} == written
    assert len(written) == 8


def test_other_sensors_by_name(tmp_path):
    sensors = {"a": "naip_rgbn", "b": "landsat_sr"}
    module = SimulatedDataModule(root=str(tmp_path), sensors=sensors, **SMALL)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert batch["image_a"].shape == (2, 4, 300, 300)
    assert batch["image_b"].shape == (2, 7, 10, 10)


def test_cache_honours_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "xstars-lightning"
    assert SimulatedDataModule().folder.parent == cache_folder()
    assert not list(tmp_path.iterdir())
