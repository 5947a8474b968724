"""TreeSatAI, in a folder of its layout: {aerial,s1,s2}/60m/<file>, geojson, labels, lists of files."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine

from xstars_lightning.datamodules import TreeSatAIPairsDataModule
from xstars_lightning.datasets.chips import TreeSatAI
from xstars_lightning.datasets.chips.treesatai import TREESATAI_SENSORS

FILES = [f"Abies_alba_1_{number}_WEFL_NLF.tif" for number in range(1000, 1008)]
PIXELS = {"aerial": (4, 304, 0.2, "uint8"), "s2": (12, 6, 10.0, "uint16"), "s1": (3, 6, 10.0, "float32")}


def corner(number):
    """Upper left corner of the 60 m of a file: two neighbours in each of four places."""
    return 565_643 + 5000 * (number // 2) + 60 * (number % 2), 5_770_980


def write(root, folder, name, number):
    """Red and B04 grow by one per metre to the east, the other bands are 10 times their number."""
    bands, side, pixel, kind = PIXELS[folder]
    extra = (side * pixel - 60) / 2
    east = (np.arange(side) + 0.5) * pixel - extra
    image = np.arange(bands)[:, None, None] * 10.0 * np.ones((1, side, side))
    red = {"aerial": 3, "s2": 2, "s1": 0}[folder]
    image[red] = east
    x, y = corner(number)
    path = root / folder / "60m" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"count": bands, "height": side, "width": side, "dtype": kind, "crs": "EPSG:25832"}
    transform = Affine(pixel, 0, x - extra, 0, -pixel, y + extra)
    with rasterio.open(path, "w", "GTiff", transform=transform, **shape) as file:
        file.write(image.clip(0).round().astype(kind))


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(FILES):
        for folder in PIXELS:
            write(tmp_path, folder, name, number)
    (tmp_path / "train_filenames.lst").write_text("\n".join(FILES[:6]) + "\n")
    (tmp_path / "test_filenames.lst").write_text("\n".join(FILES[6:]) + "\n")
    (tmp_path / "labels").mkdir()
    labels = {name: [["Abies", 0.93]] for name in FILES}
    (tmp_path / "labels" / "TreeSatBA_v9_60m_multi_labels.json").write_text(json.dumps(labels))
    (tmp_path / "geojson").mkdir()
    boxes = [shapely.box(x, y - 60, x + 60, y) for x, y in map(corner, range(len(FILES)))]
    ids = [name.removesuffix(".tif") for name in FILES]
    frame = gpd.GeoDataFrame({"IMG_ID": ids}, geometry=boxes, crs="EPSG:25832")
    frame.to_file(tmp_path / "geojson" / "bb_60m.GeoJSON", driver="GeoJSON")
    return tmp_path


def test_the_aerial_margin_is_cut_so_that_both_show_the_same_60_m(root):
    sample = TreeSatAI(root)[0]
    assert sample["image_aerial"].shape == (4, 300, 300)
    assert sample["image_sentinel2"].shape == (12, 6, 6)
    columns = sample["image_aerial"][3].mean(0) * 255
    coarse = sample["image_sentinel2"][2].mean(0) * 10000
    torch.testing.assert_close(columns.unflatten(0, (6, 50)).mean(1), coarse, atol=0.6, rtol=0)
    torch.testing.assert_close(sample["image_sentinel2"][11, 0, 0], torch.tensor(0.011))


def test_crops_are_aligned(root):
    sample = TreeSatAI(root, window=20)[1, 5]
    fine, coarse = sample["image_aerial"][3].mean() * 255, sample["image_sentinel2"][2].mean() * 10000
    torch.testing.assert_close(fine, coarse, atol=0.6, rtol=0)


def test_the_test_set_is_left_out_and_neighbours_are_one_group(root):
    dataset = TreeSatAI(root)
    assert dataset.names == FILES[:6]
    first, second, *others = dataset.groups
    assert first == second
    assert others[0] == others[1] != first
    assert len(set(dataset.groups)) == 3


def test_radar_is_a_sensor_of_its_own(root):
    radar = {"name": "s1", "bands": ["vv", "vh"], "resolution": 10, "value_range": [-30, 10]}
    radar |= {"mean": [0.6, 0.4], "std": [0.1, 0.1], "rgb_bands": ["vv", "vh", "vv"]}
    sample = TreeSatAI(root, sensors={"aerial": TREESATAI_SENSORS["aerial"], "sentinel1": radar})[0]
    assert sample["image_sentinel1"].shape == (2, 6, 6)
    torch.testing.assert_close(sample["image_sentinel1"][1], torch.full((6, 6), 1.0))


def test_the_places_must_be_known(root):
    (root / "geojson" / "bb_60m.GeoJSON").unlink()
    with pytest.raises(FileNotFoundError, match=r"bb_60m\.GeoJSON.*geojson\.zip"):
        TreeSatAI(root)


@pytest.mark.filterwarnings("ignore:Sensor")
def test_batches_of_blocks_that_are_not_shared(root):
    dm = TreeSatAIPairsDataModule(str(root), batch_size=2, windows_per_epoch=4, val_fraction=0.3)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_aerial"].shape == (2, 4, 300, 300)
    groups = dm.dataset.groups
    assert {groups[number] for number in dm.val_sampler}.isdisjoint(groups[n] for n, _ in dm.train_sampler)


def test_a_real_aerial_image_has_the_statistics_of_its_sensor(real_data, root):
    name = "Abies_alba_1_1005_WEFL_NLF.tif"
    (root / "aerial" / "60m" / name).unlink()
    (root / "aerial" / "60m" / name).symlink_to(real_data / "treesat_sample" / name)
    dataset = TreeSatAI(root)
    image = dataset[dataset.names.index(name)]["image_aerial"]
    sensor = dataset.sensors["aerial"]
    assert image.shape == (4, 300, 300)
    # One forest of many: within a standard deviation, and brightest in the near infrared.
    assert ((image.mean((1, 2)) - torch.tensor(sensor.mean)).abs() < torch.tensor(sensor.std)).all()
    assert image.mean((1, 2)).argmax() == sensor.bands.index("nir")
