"""FLAIR-HUB, in a folder of its layout: <domain>_<modality>/<ROI>/<domain>_<modality>_<ROI>_<place>.tif."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch

from xstars_lightning.datamodules import FLAIRHubPairsDataModule
from xstars_lightning.datasets.chips import FLAIRHubPairs
from xstars_lightning.datasets.chips.flair_hub import FLAIR_HUB_SENSORS

PATCHES = {
    "D004-2021_AA-S1-32_0-0": "train",
    "D004-2021_AA-S1-32_0-1": "train",
    "D091-2021_UU-S2-4_3-7": "train",
    "D033-2018_FF-S1-14_1-1": "valid",
    "D033-2018_FF-S1-14_1-2": "test",
}
SIDES = {
    "AERIAL_RGBI": 512,
    "SPOT_RGBI": 64,
    "SENTINEL2_TS": 10,
    "SENTINEL2_MSK-SC": 10,
    "AERIAL_LABEL-COSIA": 512,
}
DATES = 3


def image(modality):
    """Band 0 of aerial and SPOT grows by one per metre to the south; Sentinel-2 is 1000 t + 10 b."""
    side = SIDES[modality]
    south = np.broadcast_to(((np.arange(side) + 0.5) * 102.4 / side)[:, None], (side, side))
    if modality == "SENTINEL2_TS":
        values = np.array([1000 * t + 10 * b for t in range(DATES) for b in range(10)])
        values[:10] = 0  # the first date saw nothing
        return np.broadcast_to(values[:, None, None], (30, side, side)).astype(np.uint16)
    if modality == "SENTINEL2_MSK-SC":
        cover = np.array([0, 0, 60, 20, 5, 5])  # snow and clouds of each date
        return np.broadcast_to(cover[:, None, None], (6, side, side)).astype(np.uint8)
    if modality == "AERIAL_LABEL-COSIA":
        return np.zeros((1, side, side), np.uint8)
    kind = np.uint8 if modality == "AERIAL_RGBI" else np.uint16
    return np.stack([south, *(np.full((side, side), 50.0 * b) for b in (1, 2, 3))]).round().astype(kind)


def write(root):
    for patch in PATCHES:
        domain, roi, place = patch.split("_")
        for modality in SIDES:
            pixels = image(modality)
            path = root / f"{domain}_{modality}" / roi / f"{domain}_{modality}_{roi}_{place}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            count, height, width = pixels.shape
            shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
            transform = rasterio.Affine(102.4 / width, 0, 8e5, 0, -102.4 / width, 65e5)
            with rasterio.open(path, "w", "GTiff", crs="EPSG:2154", transform=transform, **shape) as file:
                file.write(pixels)
    table = {
        "patch_id": list(PATCHES),
        "split_1": list(PATCHES.values()),
        "split_toy": list(PATCHES.values()),
    }
    (root / "GLOBAL_ALL_MTD").mkdir()
    frame = gpd.GeoDataFrame(table, geometry=[shapely.box(0, 0, 1, 1)] * len(PATCHES), crs="EPSG:2154")
    frame.to_file(root / "GLOBAL_ALL_MTD" / "GLOBAL_ALL_MTD_SPLIT.gpkg")
    return root


@pytest.fixture
def root(tmp_path):
    return write(tmp_path)


def test_some_of_the_domains_are_enough_and_all_show_the_same_ground(root):
    dataset = FLAIRHubPairs(root)
    sample = dataset[0]
    shapes = {key: tuple(sample[f"image_{key}"].shape) for key in FLAIR_HUB_SENSORS}
    assert shapes == {"aerial": (4, 512, 512), "spot": (4, 64, 64), "sentinel2": (10, 10, 10)}
    rows = sample["image_aerial"][0].mean(1).unflatten(0, (64, 8)).mean(1) * 255
    torch.testing.assert_close(rows, sample["image_spot"][0].mean(1) * 10000, atol=1.1, rtol=0)


def test_crops_are_aligned(root):
    sensors = {key: FLAIR_HUB_SENSORS[key] for key in ("aerial", "spot")}
    sample = FLAIRHubPairs(root, sensors, window=32)[0, 11]
    assert sample["image_spot"].shape == (4, 20, 20)
    fine, coarse = sample["image_aerial"][0].mean() * 255, sample["image_spot"][0].mean() * 10000
    torch.testing.assert_close(fine, coarse, atol=0.6, rtol=0)


def test_the_clearest_date_that_shows_something(root):
    dataset = FLAIRHubPairs(root, revisit="random")
    assert dataset[0]["image_sentinel2"][1, 0, 0].item() == pytest.approx(0.2010)
    seen = {round(dataset[0, draw]["image_sentinel2"][0, 0, 0].item() * 10) for draw in range(20)}
    assert seen == {1, 2}  # thousands: any date but the empty one
    assert FLAIRHubPairs(root)[0, 1]["image_sentinel2"][0, 0, 0].item() == pytest.approx(0.2)


def test_the_official_split_is_honoured_in_one_order(root):
    dataset = FLAIRHubPairs(root)
    assert dataset.names == sorted(name for name, split in PATCHES.items() if split != "test")
    assert [dataset.names[i] for i in np.flatnonzero(dataset.held_out)] == ["D033-2018_FF-S1-14_1-1"]
    assert dataset.groups[0] == "D004-2021"


def test_the_toy_dataset(tmp_path):
    (tmp_path / "FLAIR-HUB_TOY").mkdir()
    write(tmp_path / "FLAIR-HUB_TOY")
    assert len(FLAIRHubPairs(tmp_path, toy=True)) == 4


def test_a_domain_without_all_modalities_does_not_count(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"AERIAL_LABEL-COSIA, AERIAL_RGBI, .* D004-2021_"):
        FLAIRHubPairs(tmp_path / "nowhere")
    for folder in root.glob("D091-2021_SPOT*"):
        folder.rename(root / "elsewhere")
    sensors = {key: FLAIR_HUB_SENSORS[key] for key in ("aerial", "sentinel2")}
    assert len(FLAIRHubPairs(root, sensors)) == 4
    assert "D091-2021" not in FLAIRHubPairs(root).groups


@pytest.mark.filterwarnings("ignore:Sensor")
def test_batches(root):
    dm = FLAIRHubPairsDataModule(str(root), batch_size=2, windows_per_epoch=4)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_aerial"].shape == (2, 4, 512, 512)
    assert [dm.dataset.names[number] for number in dm.val_sampler] == ["D033-2018_FF-S1-14_1-1"]
