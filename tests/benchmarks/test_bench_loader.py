"""Both ways train alike; one reads all its batches and the other one."""

import itertools

import pytest

import bench_loader
import bench_reading
from xstars_lightning.datamodules import CrossSensorDataModule

SMALL = {
    "backbone": "vit_tiny_patch16_224",
    "image_size": 32,
    "local_size": 16,
    "local_crops": 2,
    "head_dim": 32,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_reading, "FILES", 3)
    for name, value in {"GPU": False, "PRECISION": "32-true", "WORKERS": 0, "BATCH": 2}.items():
        monkeypatch.setattr(bench_loader, name, value)
    bench_reading.write_files(tmp_path)
    return str(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [CrossSensorDataModule, bench_loader.AtHand])
def test_the_clock_measures_the_steps_that_count_and_ends_the_run(folder, kind, monkeypatch):
    clock = bench_loader.Clock(2, 3)
    times = itertools.count(10.0, 7.0)
    monkeypatch.setattr(clock, "_now", lambda: next(times))
    seen = []
    monkeypatch.setattr(clock, "on_train_batch_start", lambda *_: seen.append(1))
    seconds = bench_loader.train(bench_loader.data(kind, folder, 8), clock, **SMALL)
    assert seconds == 7.0
    assert len(seen) == 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "distinct"), [(CrossSensorDataModule, 3), (bench_loader.AtHand, 1)])
def test_only_one_batch_is_at_hand(folder, kind, distinct):
    data = bench_loader.data(kind, folder, 3)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    assert len({float(batch["image_fine"].sum()) for batch in batches}) == distinct


@pytest.mark.filterwarnings("ignore")
def test_the_loader_alone_gives_the_same_number_of_batches(folder, monkeypatch):
    monkeypatch.setattr(bench_loader, "AHEAD", 1)
    monkeypatch.setattr(bench_loader, "STEPS", 2)
    assert bench_loader.read(bench_loader.data(CrossSensorDataModule, folder, 3)) > 0
    with pytest.raises(StopIteration):
        bench_loader.read(bench_loader.data(CrossSensorDataModule, folder, 2))
