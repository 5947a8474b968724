"""EuroSAT, RGB and multispectral, as batches of values in [0, 1]."""

from dataclasses import replace
from typing import Any

import torch
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datamodules.eurosat import MEAN, STD
from torchgeo.datasets import EuroSAT

from xstars_lightning.datasets.eurosat import EuroSATRGB
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["EuroSATMSDataModule", "EuroSATRGBDataModule"]

_RGB_SENSOR = Sensor(
    name="eurosat_rgb",
    bands=("red", "green", "blue"),
    resolution=10,
    value_range=(0, 255),
    # Over all pixels of the 16,200 training images of EuroSATRGB's own split with seed 0.
    mean=(0.344773, 0.380478, 0.408144),
    std=(0.203168, 0.137032, 0.115377),
)

# The order of our sentinel2_l1c; in TorchGeo's (and in the files) B8A comes last.
_MS_BANDS = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09"),
    *("B10", "B11", "B12"),
)
_MS_SENSOR = replace(
    get_sensor("sentinel2_l1c"),
    name="eurosat_ms",
    mean=tuple(MEAN[band] / 10000 for band in _MS_BANDS),
    std=tuple(STD[band] / 10000 for band in _MS_BANDS),
)


class _ClassificationDataModule(NonGeoDataModule):
    """Knows the names of its classes as soon as any split is set up."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the labels.

        Raises:
            RuntimeError: Before ``setup``.
        """
        for dataset in (self.train_dataset, self.val_dataset, self.test_dataset):
            if dataset is not None:
                classes: Any = getattr(dataset, "classes", None)
                return list(classes)
        raise RuntimeError(f"{type(self).__name__}: call setup('fit') or setup('test') first.")


class EuroSATRGBDataModule(_ClassificationDataModule):
    """EuroSAT RGB: batches of ``image`` (B, 3, H, W) in [0, 1] and ``label`` (B,).

    The training images are shuffled, those of validation and test have a fixed order. Images are
    not standardised: the encoder does that, with the statistics of :attr:`sensors`.

    Args:
        root: Folder that holds a folder of images per class.
        batch_size: Images in a batch.
        num_workers: Processes that read; 0 reads in the main one.
        lists: CSV file of ``path,class`` rows for each of ``train``, ``val`` and ``test``, instead
            of the seeded split; see :class:`EuroSATRGB`, also for the errors.
        seed: Of the split.

    Attributes:
        sensors: The sensor of ``image``.
    """

    # What BaseDataModule normalises with, and what TorchGeo's tasks undo before they plot.
    mean = torch.tensor(0.0)
    std = torch.tensor(1.0)

    def __init__(
        self,
        root: str = "data/eurosat_rgb",
        batch_size: int = 256,
        num_workers: int = 0,
        lists: dict[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(EuroSATRGB, batch_size, num_workers, root=root, lists=lists, seed=seed)
        self.sensors: dict[str, Sensor] = {_RGB_SENSOR.name: _RGB_SENSOR}


class EuroSATMSDataModule(_ClassificationDataModule):
    """TorchGeo's multispectral EuroSAT: ``image`` (B, 13, 64, 64) in about [0, 1] and ``label``.

    The bands are in the order of the catalogue's ``sentinel2_l1c``. Batches come from the data
    loaders as digital numbers and are divided by 10,000 on the device (``aug``), as TorchGeo does;
    outside a Trainer call ``datamodule.aug(batch)``.

    Args:
        root: Folder of TorchGeo's EuroSAT.
        batch_size: Images in a batch.
        num_workers: Processes that read; 0 reads in the main one.
        download: Download the 2 GB if they are not there.

    Raises:
        DatasetNotFoundError: In ``setup``, if the data are not there and may not be downloaded.

    Attributes:
        sensors: The sensor of ``image``.
    """

    mean = torch.tensor(0.0)
    std = torch.tensor(10000.0)

    def __init__(
        self,
        root: str = "data/eurosat_ms",
        batch_size: int = 256,
        num_workers: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(EuroSAT, batch_size, num_workers, root=root, bands=_MS_BANDS, download=download)
        self.sensors: dict[str, Sensor] = {_MS_SENSOR.name: _MS_SENSOR}
