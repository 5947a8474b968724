"""WorldStrat, in a folder of its layout: hr_dataset/<area>, lr_dataset/<area>/{L1C,L2A}."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch

from xstars_lightning.datamodules import WorldStratDataModule
from xstars_lightning.datasets.chips import WorldStrat
from xstars_lightning.sensors import Sensor

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
AREAS = {
    "UNHCR-GRCs035302": "train",
    "Amnesty POI-20-2-2": "train",
    "Landcover-1": "val",
    "Landcover-2": "test",
}
DATES = ["2018-01-01", "2018-06-01", "2018-06-20", "2018-12-01"]
RGBN = ("red", "green", "blue", "nir")
SENSORS = {
    "spot": Sensor("spot", RGBN, 1.5, (0, 10000), (0.1,) * 4, (0.1,) * 4),
    "sentinel2": Sensor("s2", RGBN, 10, (0, 1), (0.1,) * 4, (0.1,) * 4),
}


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = image.shape
    shape = {"count": count, "height": height, "width": width, "dtype": image.dtype.name}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:4326", **shape) as file:
        file.write(image)


@pytest.fixture
def root(tmp_path):
    """Band b of Sentinel-2 at date n is b / 100 + n / 1000, that of SPOT 100 b."""
    rows = []
    for number, area in enumerate(AREAS):
        side = 140 + 2 * number
        spot = np.arange(4, dtype=np.uint16)[:, None, None] * 100 * np.ones((1, side, side), np.uint16)
        write(tmp_path / "hr_dataset" / area / f"{area}_ps.tiff", spot)
        for n, date in enumerate(DATES, start=1):
            for level, bands in (("L1C", 13), ("L2A", 12)):
                image = np.arange(bands, dtype=np.float32)[:, None, None] / 100 + n / 1000
                name = f"{area}-{n}-{level}_data.tiff"
                write(tmp_path / "lr_dataset" / area / level / name, image * np.ones((1, 21, 22), np.float32))
            rows.append(
                {
                    "tile": area,
                    "n": n,
                    "lon": 1.0,
                    "lat": 2.0,
                    "lowres_date": date,
                    "highres_date": "2018-06-15",
                }
            )
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(tmp_path / "metadata.csv", index=False)
    split = pd.DataFrame({"tile": AREAS.keys(), "split": AREAS.values()})
    split.to_csv(tmp_path / "stratified_train_val_test_split.csv")
    return tmp_path


def test_the_nearest_date_and_the_bands_by_name(root):
    sample = WorldStrat(root, SENSORS, window=120)[0]
    assert sample["image_spot"].shape == (4, 80, 80)
    assert sample["image_sentinel2"].shape == (4, 12, 12)
    expected = torch.tensor([0.03, 0.02, 0.01, 0.07]) + 0.003  # B4, B3, B2 and B8; 20 June
    torch.testing.assert_close(sample["image_sentinel2"][:, 0, 0], expected)
    torch.testing.assert_close(sample["image_spot"][:, 0, 0], torch.tensor([0.0, 0.01, 0.02, 0.03]))


def test_a_random_date_follows_from_the_draw(root):
    dataset = WorldStrat(root, SENSORS, window=120, revisit="random")
    dates = [round(dataset[0, draw]["image_sentinel2"][0, 0, 0].item() * 1000) - 30 for draw in range(40)]
    assert set(dates) == {1, 2, 3, 4}
    assert dataset[0]["image_sentinel2"][0, 0, 0].item() == pytest.approx(0.033)
    again = [round(dataset[0, draw]["image_sentinel2"][0, 0, 0].item() * 1000) - 30 for draw in range(5)]
    assert again == dates[:5]


def test_the_official_split_is_honoured(root):
    dataset = WorldStrat(root, SENSORS)
    assert dataset.names == ["UNHCR-GRCs035302", "Amnesty POI-20-2-2", "Landcover-1"]
    assert dataset.held_out.tolist() == [False, False, True]


def test_all_three_levels(root):
    level1 = Sensor("l1c", ("swir16",), 10, (0, 1), (0.1,), (0.1,), rgb_bands=("swir16",) * 3)
    sample = WorldStrat(root, SENSORS | {"sentinel2_l1c": level1}, window=120)[2]
    assert sample["image_sentinel2_l1c"][0, 0, 0].item() == pytest.approx(0.113)


def test_dates_that_are_not_known(root):
    next((root / "lr_dataset" / "Landcover-1" / "L2A").iterdir()).unlink()
    with pytest.raises(ValueError, match=r"Landcover-1: 3 images of sentinel2, but 4 dates"):
        WorldStrat(root, SENSORS, window=120)[2]


def test_areas_of_several_sizes_need_a_window(root):
    with pytest.raises(ValueError, match=r"less ground than a crop of 480 m"):
        WorldStrat(root, SENSORS)[0]


def test_bands_that_the_files_do_not_have(root):
    thermal = Sensor("t", ("lwir11",), 10, (0, 1), (0.1,), (0.1,), rgb_bands=("lwir11",) * 3)
    with pytest.raises(ValueError, match=r"'t' wants the bands lwir11, but the files hold coastal, blue"):
        WorldStrat(root, {"sentinel2": thermal})


@pytest.mark.filterwarnings("ignore:Sensor")
def test_batches(root):
    dm = WorldStratDataModule(str(root), window=120, batch_size=2, windows_per_epoch=4)
    dm.setup("fit")
    batch = next(iter(dm.train_dataloader()))
    assert batch["image_sentinel2"].shape == (2, 12, 12, 12)
    assert dm.val_sampler == [2]


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="not found"):
        WorldStrat(tmp_path / "nowhere")
