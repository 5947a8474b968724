"""WorldStrat: SPOT 6/7 and several dates of Sentinel-2 all over the world."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchgeo.datasets import WorldStrat as TorchGeoWorldStrat

from xstars_lightning.datasets.chips.arrays import chosen_bands, with_validity
from xstars_lightning.datasets.chips.base import ChipDataset, Pixels
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["WORLDSTRAT_SENSORS", "WorldStrat"]

# Digital numbers of SPOT and reflectance of Sentinel-2, as Sentinel Hub served them. No statistics are
# published: those of FLAIR-HUB's SPOT images (arXiv 2506.07080) and of the catalogue, to be replaced by
# the ones that `fit` measures.
WORLDSTRAT_SENSORS: dict[str, Any] = {
    "spot": Sensor(
        name="worldstrat_spot",
        bands=("red", "green", "blue", "nir"),
        resolution=1.5,
        value_range=(0, 10000),
        mean=(0.0433, 0.0509, 0.0468, 0.1137),
        std=(0.0313, 0.0285, 0.0226, 0.0543),
    ).to_dict(),
    "sentinel2": replace(get_sensor("sentinel2_l2a"), name="worldstrat_l2a", value_range=(0, 1)).to_dict(),
}
# Key -> modality of TorchGeo, bands of its files.
_MODALITIES = {
    "spot": ("hr_ps", ("red", "green", "blue", "nir")),
    "sentinel2": ("l2a", get_sensor("sentinel2_l2a").bands),
    "sentinel2_l1c": ("l1c", get_sensor("sentinel2_l1c").bands),
}


class WorldStrat(ChipDataset):
    """Areas of interest seen by SPOT (1.5 m, pan-sharpened) and by Sentinel-2 (10 m) on several dates [0].

    The files are read by TorchGeo's class, which reads all dates of an area to give one. Of the official
    split, ``train`` trains, ``val`` validates, and ``test`` is left alone. The images of an area show one
    footprint, each rounded to whole pixels of its own: they are laid centre on centre, to within half a
    pixel of Sentinel-2, and their sizes differ from area to area, which is why a window is needed.

    Args:
        root: Folder that holds ``hr_dataset``, ``lr_dataset`` and the two CSV files.
        sensors: Sensors for ``spot``, ``sentinel2`` (L2A) and ``sentinel2_l1c``, whose bands are some of
            those of the files.
        window: Side of a crop in metres, a multiple of 30.
        revisit: Which date of Sentinel-2: the one ``nearest`` to SPOT's, or any at ``random``; the middle
            of a chip, as in validation, has the nearest one always.
        download: Download more than 100 GB if they are not there.

    Raises:
        DatasetNotFoundError: If files are missing.
        ValueError: If arguments do not fit.

    References:
        [0] https://arxiv.org/abs/2207.06418
    """

    keys = tuple(_MODALITIES)
    slack = 1

    def __init__(
        self,
        root: str | Path,
        sensors: Mapping[str, Any] = WORLDSTRAT_SENSORS,
        window: float | None = 480.0,
        revisit: Literal["nearest", "random"] = "nearest",
        download: bool = False,
    ) -> None:
        super().__init__(sensors, window)
        self.revisit = revisit
        self._bands = {key: chosen_bands(s, _MODALITIES[key][1]) for key, s in self.sensors.items()}
        modalities = [_MODALITIES[key][0] for key in self.sensors]
        self._parts = [
            TorchGeoWorldStrat(str(root), modalities, split, download=download) for split in ("train", "val")
        ]
        tables = [part.file_path_df["tile"].astype(str).tolist() for part in self._parts]
        self.names = self.groups = tables[0] + tables[1]
        self.held_out = np.arange(len(self.names)) >= len(tables[0])

    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read an area: SPOT, and one date of Sentinel-2."""
        part, within = (0, index) if index < len(self._parts[0]) else (1, index - len(self._parts[0]))
        found = self._parts[part][within]
        name, pixels = self.names[index], {}
        chosen = _revisit(found, rng if self.revisit == "random" else None)
        for key, sensor in self.sensors.items():
            images = found[f"image_{_MODALITIES[key][0]}"]
            if images.ndim == 4:
                _check_dates(name, key, images, found["low_res_date"])
                images = images[chosen]
            pixels[key] = with_validity(images[self._bands[key]].numpy(), sensor, name)
        return pixels


def _revisit(found: Mapping[str, Tensor], rng: np.random.Generator | None) -> int:
    if rng is not None:
        return int(rng.integers(len(found["low_res_date"])))
    return int(torch.argmin((found["low_res_date"] - found["high_res_date"]).abs()))


def _check_dates(name: str, key: str, images: Tensor, dates: Tensor) -> None:
    if len(images) != len(dates):
        raise ValueError(
            f"{name}: {len(images)} images of {key}, but {len(dates)} dates in metadata.csv, so that none "
            "is known. Take images and metadata.csv from one version of the dataset."
        )
