"""EuroSAT, RGB and multispectral, as batches of values in [0, 1]."""

from dataclasses import replace
from typing import Any

from torchgeo.datamodules.eurosat import MEAN, STD

from xstars_lightning.datamodules.classification import ClassificationDataModule
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["EuroSATMSDataModule", "EuroSATRGBDataModule"]

_RGB_SENSOR = Sensor(
    name="eurosat_rgb",
    bands=("red", "green", "blue"),
    resolution=10,
    value_range=(0, 255),
    # Over all pixels of the 16,200 training images of ClassFolders' own split with seed 0.
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


class EuroSATRGBDataModule(ClassificationDataModule):
    """EuroSAT RGB: batches of ``image`` (B, 3, H, W) in [0, 1] and ``label`` (B,).

    The training images are shuffled, those of validation and test have a fixed order. Images are
    not standardised: the encoder does that, with the statistics of :attr:`sensors`.

    Args:
        root: Folder that holds a folder of images per class.
        batch_size: Images in a batch.
        num_workers: Processes that read; 0 reads in the main one.
        lists: CSV file of ``path,class`` rows for each of ``train``, ``val`` and ``test``, instead
            of the seeded split; see :class:`ClassFolders`, also for the errors.
        seed: Of the split.

    Attributes:
        sensors: The sensor of ``image``.
    """

    def __init__(
        self,
        root: str = "data/eurosat_rgb",
        batch_size: int = 256,
        num_workers: int = 0,
        lists: dict[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        options: dict[str, Any] = {"lists": lists, "seed": seed}
        super().__init__(
            "xstars_lightning.datasets.class_folders.ClassFolders",
            {_RGB_SENSOR.name: _RGB_SENSOR},
            root=root,
            options=options,
            shuffled=False,  # it is
            batch_size=batch_size,
            num_workers=num_workers,
        )


class EuroSATMSDataModule(ClassificationDataModule):
    """TorchGeo's multispectral EuroSAT: ``image`` (B, 13, 64, 64) in about [0, 1] and ``label``.

    The bands are in the order of the catalogue's ``sentinel2_l1c``.

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

    def __init__(
        self,
        root: str = "data/eurosat_ms",
        batch_size: int = 256,
        num_workers: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(
            "EuroSAT",
            {_MS_SENSOR.name: _MS_SENSOR},
            root=root,
            options={"bands": _MS_BANDS, "download": download},
            shuffled=False,
            batch_size=batch_size,
            num_workers=num_workers,
        )
