"""Both ways train alike; one reads all its batches and the other one."""

import pytest

import bench_loader
import bench_reading
from xstars_lightning.datamodules import CrossSensorDataModule

SMALL = {"image_size": 32, "local_size": 16, "local_crops": 2, "head_dim": 32}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_reading, "FILES", 3)
    bench_reading.write_files(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", bench_loader.WAYS.values())
def test_the_clock_counts_the_steps_after_the_first(folder, kind, monkeypatch):
    monkeypatch.setattr(bench_loader, "STEPS", 2)
    clock = bench_loader.Clock(2)
    bench_loader.train(kind, str(folder), clock, batch=2, **SMALL)
    assert clock.steps == 4
    assert clock.seconds > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "distinct"), [(CrossSensorDataModule, 3), (bench_loader.AtHand, 1)])
def test_only_one_batch_is_at_hand(folder, kind, distinct):
    paths = {name: f"{folder}/{name}" for name in bench_loader.SENSORS}
    data = kind(paths, dict(bench_loader.SENSORS), 480.0, 2, 0, 6, val_fraction=0)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    assert len({float(batch["image_fine"].sum()) for batch in batches}) == distinct
