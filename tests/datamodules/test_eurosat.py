"""Batches in [0, 1] in the order of the sensor's bands, in a notebook and under a Trainer."""

import numpy as np
import pytest
import rasterio
import torch
from torchgeo.datamodules.eurosat import MEAN
from torchgeo.datasets import EuroSAT

from xstars_lightning.datamodules.eurosat import EuroSATMSDataModule, EuroSATRGBDataModule
from xstars_lightning.sensors import get_sensor

# Band of each name, from the table of the Sentinel-2 user guide.
L1C = {
    **{"coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge071": "B05"},
    **{"rededge075": "B06", "rededge078": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09"},
    **{"cirrus": "B10", "swir16": "B11", "swir22": "B12"},
}


@pytest.fixture
def multispectral_folder(tmp_path):
    """TorchGeo's layout; the value of band b of image i is 100 (b + 1) + i, b in the order of the files."""
    root = tmp_path / "eurosat"
    for split in ("train", "val", "test"):
        names = []
        for name in ("Forest", "River"):
            folder = root / EuroSAT.base_dir / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(3):
                pixels = np.arange(1, 14, dtype=np.uint16)[:, None, None] * 100 + number
                names.append(f"{name}_{split}_{number}")
                with rasterio.open(
                    folder / f"{names[-1]}.tif", "w", "GTiff", 64, 64, 13, dtype="uint16"
                ) as file:
                    file.write(np.broadcast_to(pixels, (13, 64, 64)))
        (root / f"eurosat-{split}.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    return root


def test_rgb_batches_are_those_of_the_dataset(class_folders):
    datamodule = EuroSATRGBDataModule(str(class_folders), batch_size=4)
    datamodule.setup("fit")
    datamodule.setup("test")
    batch = next(iter(datamodule.train_dataloader()))
    assert batch["image"].shape == (4, 3, 32, 32)
    dataset = datamodule.test_dataset
    loaded = torch.cat([batch["label"] for batch in datamodule.test_dataloader()])
    assert torch.equal(loaded, dataset.targets)
    assert len(datamodule.val_dataloader().dataset) == 6
    assert datamodule.class_names == ["Field", "Lake", "Wood"]


def test_rgb_is_not_normalised_again(class_folders):
    datamodule = EuroSATRGBDataModule(str(class_folders), batch_size=4)
    datamodule.setup("validate")
    batch = next(iter(datamodule.val_dataloader()))
    image = batch["image"].clone()
    assert image.max() > 0.5
    torch.testing.assert_close(datamodule.aug(batch)["image"], image)


def test_rgb_arguments_reach_the_dataset(class_folders):
    first, other = (EuroSATRGBDataModule(str(class_folders), seed=seed) for seed in (0, 1))
    for datamodule in (first, other):
        datamodule.setup("test")
    assert first.test_dataset.split_hash != other.test_dataset.split_hash
    with pytest.raises(ValueError, match="each of train, val, test"):
        EuroSATRGBDataModule(str(class_folders), lists={"train": "x"}).setup("fit")


def test_class_names_are_known_before_setup(class_folders):
    assert EuroSATRGBDataModule(str(class_folders)).class_names == ["Field", "Lake", "Wood"]


def test_multispectral_bands_stand_in_the_order_of_the_sensor(multispectral_folder):
    datamodule = EuroSATMSDataModule(str(multispectral_folder), batch_size=6)
    datamodule.setup("test")
    batch = datamodule.aug(next(iter(datamodule.test_dataloader())))
    (sensor,) = datamodule.sensors.values()
    in_file = [EuroSAT.all_band_names.index(L1C[band]) for band in sensor.bands]
    expected = torch.tensor([(100 * (band + 1)) / 10000 for band in in_file])
    image = batch["image"][0]  # number 0: nothing added
    torch.testing.assert_close(image.mean(dim=(1, 2)), expected)
    assert datamodule.class_names == ["Forest", "River"]
    assert batch["label"].tolist() == [0, 0, 0, 1, 1, 1]


def test_sensors_agree_with_the_catalogue():
    (multispectral,) = EuroSATMSDataModule().sensors.values()
    assert multispectral.bands == get_sensor("sentinel2_l1c").bands
    assert multispectral.mean == tuple(MEAN[L1C[band]] / 10000 for band in multispectral.bands)
    (rgb,) = EuroSATRGBDataModule().sensors.values()
    assert rgb.bands == get_sensor("sentinel2_rgb").bands


def test_missing_multispectral_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        EuroSATMSDataModule(str(tmp_path / "nowhere")).setup("fit")


def test_real_rgb_has_the_statistics_of_its_sensor(real_data):
    datamodule = EuroSATRGBDataModule(str(real_data / "eurosat_rgb"), batch_size=2000)
    datamodule.setup("test")
    image = next(iter(datamodule.test_dataloader()))["image"]
    (sensor,) = datamodule.sensors.values()
    torch.testing.assert_close(image.mean(dim=(0, 2, 3)), torch.tensor(sensor.mean), atol=0.01, rtol=0)
    torch.testing.assert_close(image.std(dim=(0, 2, 3)), torch.tensor(sensor.std), atol=0.01, rtol=0)


def test_real_multispectral_has_the_statistics_of_its_sensor(real_data, tmp_path):
    folders = sorted(real_data.joinpath("eurosat_ms_100").glob("[A-Z]*"))
    names = [path.stem for folder in folders for path in folder.glob("*.tif")]
    (tmp_path / EuroSAT.base_dir).mkdir(parents=True)
    for folder in folders:
        (tmp_path / EuroSAT.base_dir / folder.name).symlink_to(folder)
    for split in ("train", "val", "test"):
        (tmp_path / f"eurosat-{split}.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    datamodule = EuroSATMSDataModule(str(tmp_path), batch_size=100)
    datamodule.setup("test")
    image = datamodule.aug(next(iter(datamodule.test_dataloader())))["image"]
    (sensor,) = datamodule.sensors.values()
    # A hundred images, equally many per class: a tenth is close, a band out of order is far.
    torch.testing.assert_close(image.mean(dim=(0, 2, 3)), torch.tensor(sensor.mean), rtol=0.1, atol=1e-3)
