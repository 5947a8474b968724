"""Batches from an archive in two UTM zones, joined by space and time."""

import geopandas as gpd
import numpy as np
import pytest
import torch
from shapely import box

from xstars_lightning.datamodules import ArchiveDataModule
from xstars_lightning.datasets.archive.geoparquet import write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import Sensor

FINE = Sensor("fine", ("red", "green", "blue"), 5, (0, 255), (0.5,) * 3, (0.3,) * 3)
COARSE = Sensor("coarse", ("red", "green", "blue"), 10, (0, 10000), (0.5,) * 3, (0.3,) * 3)
SENSORS = {"fine": FINE, "coarse": COARSE}
ZONES = ("EPSG:32631", "EPSG:32633")


@pytest.fixture
def indexes(write_raster, tmp_path):
    """Scenes of 1280 m in two zones; the coarse sensor twice, 1 and 40 days after the fine one."""
    rng = np.random.default_rng(0)
    for zone, crs in enumerate(ZONES):
        pixels = rng.integers(1, 255, (3, 256, 256), dtype=np.uint8)
        write_raster(f"fine/z{zone}_20230601.tif", pixels, (500_000, 5_000_000), 5, crs)
        for date in ("20230602", "20230711"):
            pixels = rng.integers(1, 10_000, (3, 128, 128), dtype=np.uint16)
            write_raster(f"coarse/z{zone}_{date}.tif", pixels, (500_000, 5_000_000), 10, crs)
    for key, sensor in SENSORS.items():
        write_index(scan(tmp_path / key, sensor), tmp_path / f"{key}.parquet")
    return {key: str(tmp_path / f"{key}.parquet") for key in SENSORS}


def module(indexes, **options):
    defaults = {"window": 100.0, "batch_size": 8, "windows_per_epoch": 32, "val_fraction": 0.0}
    return ArchiveDataModule(indexes, dict(SENSORS), **{**defaults, **options})


def test_batches_hold_every_sensor_at_its_resolution_and_scaled(indexes):
    dm = module(indexes)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_fine"].shape == (8, 3, 20, 20)
    assert batch["image_coarse"].shape == (8, 3, 10, 10)
    assert all(batch[f"valid_{key}"].all() for key in SENSORS)
    assert all(batch[f"image_{key}"].min() > 0 and batch[f"image_{key}"].max() <= 1 for key in SENSORS)
    assert not {"raw_fine", "raw_coarse", "replaced"} & set(batch)


def test_windows_come_from_both_zones_and_the_nearest_date(indexes):
    dm = module(indexes)
    dm.setup("fit")
    assert {window.pair for window in dm.train_sampler} == {0, 1}
    assert dm.dataset.pairs.days.tolist() == pytest.approx([1, 1])


def test_dates_too_far_apart_are_refused(indexes):
    with pytest.raises(ValueError, match="max_days"):
        module(indexes, max_days=0.5).setup("fit")


def test_pairs_are_kept_and_read_again(indexes, tmp_path, monkeypatch):
    path = tmp_path / "pairs.parquet"
    first = module(indexes, pairs=str(path))
    first.prepare_data()
    assert path.exists()
    monkeypatch.setattr("xstars_lightning.datamodules.archive.join", lambda *_: pytest.fail("joined again"))
    again = module(indexes, pairs=str(path))
    again.setup("fit")
    assert len(again.dataset) == 2
    with pytest.raises(ValueError, match="other options"):
        module(indexes, pairs=str(path), max_days=100).setup("fit")


def test_windows_never_touch_the_avoided_ground(indexes, tmp_path):
    avoided = box(500_300, 4_999_000, 500_700, 4_999_400)
    gpd.GeoSeries([avoided], crs=ZONES[0]).to_file(tmp_path / "test_set.gpkg")
    dm = module(indexes, avoid=str(tmp_path / "test_set.gpkg"), windows_per_epoch=400)
    dm.setup("fit")
    zones = dm.dataset.pairs.crs_of
    windows = [window for window in dm.train_sampler if dm.dataset.pairs.crs[zones[window.pair]] == ZONES[0]]
    assert len(windows) > 100
    assert not any(box(*window[1:]).intersects(avoided) for window in windows)
    free = module(indexes, windows_per_epoch=400)
    free.setup("fit")
    assert any(box(*window[1:]).intersects(avoided) for window in free.train_sampler if window.pair == 0)


def test_training_and_validation_share_no_ground(indexes):
    dm = module(indexes, val_fraction=0.3, block=400.0, windows_per_epoch=64, seed=1)
    dm.setup("fit")
    train, val = ({tuple(window) for window in sampler} for sampler in (dm.train_sampler, dm.val_sampler))
    assert train
    assert val
    for pair, *first in train:
        apart = [
            first[0] >= w[3] or first[2] <= w[1] or first[1] >= w[4] or first[3] <= w[2]
            for w in val
            if w[0] == pair
        ]
        assert all(apart)


def test_a_file_that_changed_since_it_was_indexed_is_named(indexes, tmp_path):
    (tmp_path / "fine" / "z0_20230601.tif").write_bytes(b"other")
    with pytest.raises((OSError, ValueError), match=r"z0_20230601\.tif"):
        module(indexes).setup("fit")


def test_workers_read_the_same_batches(indexes):
    batches = []
    for workers in (0, 2):
        dm = module(indexes, num_workers=workers)
        dm.setup("fit")
        batches.append(next(iter(dm.train_dataloader())))
    assert torch.equal(batches[0]["image_fine"], batches[1]["image_fine"])


def test_catalogues_without_pixel_grids_are_joined_and_read(indexes, tmp_path):
    frame = gpd.read_parquet(indexes["fine"])[["path", "geometry"]]
    frame["path"] = [str(tmp_path / path) for path in frame["path"]]
    frame.to_parquet(tmp_path / "plain.parquet")
    dm = module({**indexes, "fine": str(tmp_path / "plain.parquet")})
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_fine"].shape == (8, 3, 20, 20)
    assert batch["valid_fine"].all()


def test_several_indexes_of_a_sensor_are_one(indexes, tmp_path):
    for number, name in enumerate(sorted((tmp_path / "fine").glob("*.tif"))):
        write_index(scan(name, FINE), tmp_path / f"part{number}.parquet")
    dm = module({**indexes, "fine": [str(tmp_path / f"part{number}.parquet") for number in range(2)]})
    dm.setup("fit")
    assert len(dm.dataset) == 2


def test_ground_that_is_avoided_is_not_called_too_small(indexes, tmp_path, caplog):
    gpd.GeoSeries([box(499_000, 4_998_000, 502_000, 5_001_000)], crs=ZONES[0]).to_file(tmp_path / "all.gpkg")
    dm = module(indexes, avoid=str(tmp_path / "all.gpkg"))
    dm.setup("fit")
    drawn = {dm.dataset.pairs.crs_of[window.pair] for window in dm.train_sampler}
    assert [dm.dataset.pairs.crs[number] for number in drawn] == [ZONES[1]]
    assert "too small" not in caplog.text
